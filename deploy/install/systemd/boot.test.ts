/**
 * The units under systemd as process 1, installed by the commands of operate.md, in a container without a network.
 *
 * HM_TEST_SYSTEMD_ROOT names a root folder made by `testing/systemd-root.sh`; it is not changed. It needs root and systemd-nspawn.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { PROCESS_NAMES } from '../../run/launcher/child.ts';

const ROOT = process.env.HM_TEST_SYSTEMD_ROOT;
const isPossible =
  ROOT !== undefined && process.getuid?.() === 0 && spawnSync('systemd-nspawn', ['--version']).status === 0;
const INSTALLED = '/opt/health-manager';
const WHY = '(needs root, systemd-nspawn and HM_TEST_SYSTEMD_ROOT)';

let dir: string;
let container: ChildProcess;
/** Process 1 of the container, as this host sees it. */
let leader = '';

/** Runs a script in the container. */
function inside(script: string) {
  const args = ['--target', leader, '--all', 'env', '--ignore-environment'];
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return spawnSync('nsenter', [...args, path, 'bash', '-c', script], { encoding: 'utf8', timeout: 90_000 });
}
const output = (script: string) => inside(script).stdout.trim();
const unitOf = (name: string, copy: number) => `health-manager@${name}:${copy}.service`;
const mainPid = (unit: string) => output(`systemctl show --property MainPID --value ${unit}`);

beforeAll(async () => {
  if (!isPossible) return;
  dir = mkdtempSync(join(tmpdir(), 'hm-boot-'));
  const program = `#!/bin/sh\nexec node ${INSTALLED}/dist/deploy/run/cli/main.js "$@"\n`;
  writeFileSync(join(dir, 'hm'), program, { mode: 0o755 });
  const modules = realpathSync(join(packageRoot, 'node_modules'));
  const binds = {
    [packageRoot]: INSTALLED,
    // A clone may have a link to it.
    [modules]: modules,
    [process.execPath]: '/usr/local/bin/node',
    [join(dir, 'hm')]: '/usr/local/bin/hm',
  };
  const args = [
    ...['--quiet', '--register=no', '--keep-unit', '--boot', '--volatile=overlay', '--private-network'],
    ...['--resolv-conf=off', '--console=pipe', '--directory', ROOT],
    ...Object.entries(binds).map(([from, to]) => `--bind-ro=${from}:${to}`),
  ];
  const env = { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' };
  container = spawn('systemd-nspawn', args, { env, stdio: 'ignore' });
  await vi.waitFor(() => {
    leader = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').trim();
    expect(output('systemctl is-active multi-user.target')).toBe('active');
  }, 60_000);
}, 90_000);
afterAll(async () => {
  if (!isPossible) return;
  const ended = once(container, 'exit');
  container.kill('SIGTERM');
  await ended;
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

test.skipIf(!isPossible)(
  `the documented commands start two copies of each process, all serve, and systemd restarts what dies or hangs ${WHY}`,
  { timeout: 300_000 },
  async () => {
    const page = readFileSync(join(packageRoot, 'deploy', 'docs', 'operate.md'), 'utf8');
    const [, commands = ''] = /^```sh\n(useradd --system [\s\S]*?)^```/m.exec(page) ?? [];
    const folder = `mkdir /root/health-manager && cd /root/health-manager && ln -s ${INSTALLED}/deploy deploy`;
    const file = `echo 'status: { user: operator, password: secret }' >health_manager.yml`;
    const installed = inside(`set -e\n${folder}\n${file}\n${commands}`);
    expect(installed.status, `${installed.stdout}${installed.stderr}`).toBe(0);
    const units = PROCESS_NAMES.flatMap((name) => [1, 2].map((copy) => unitOf(name, copy)));
    expect(output(`systemctl is-active ${units.join(' ')}`)).toBe(units.map(() => 'active').join('\n'));

    const ports = [18411, 18412, 18421, 18422, 18431, 18432, 18441, 18442, 54321, 18452];
    for (const path of ['/healthz', '/readyz']) {
      const fetches = `Promise.all([${ports}].map((port) => fetch('http://127.0.0.1:' + port + '${path}')))`;
      const script = `${fetches}.then((all) => console.log(all.map(({ status }) => status).join()))`;
      expect(output(`node -e "${script}"`)).toBe(ports.map(() => '200').join());
    }

    const hanging = unitOf('sync', 2);
    const hung = mainPid(hanging);
    output(`kill -STOP ${hung}`);
    // More often than systemd's own limit of starts.
    const dying = unitOf('nudger', 1);
    for (let kills = 0; kills < 6; kills++) {
      const pid = mainPid(dying);
      output(`kill -KILL ${pid}`);
      await vi.waitFor(() => expect([pid, '0']).not.toContain(mainPid(dying)), 30_000);
    }
    await vi.waitFor(() => expect(output(`systemctl is-active ${dying}`)).toBe('active'), 60_000);
    await vi.waitFor(() => expect([hung, '0']).not.toContain(mainPid(hanging)), 100_000);
    expect(output(`systemctl show --property NRestarts --value ${hanging}`)).toBe('1');

    const beganMs = performance.now();
    expect(inside('systemctl stop health-manager.target').status).toBe(0);
    expect(performance.now() - beganMs).toBeLessThan(12_000);
    expect(output("journalctl --unit 'health-manager@*' --grep 'SIGSYS|status=31' --output cat")).toBe('');
  },
);
