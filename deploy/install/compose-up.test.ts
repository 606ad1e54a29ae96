/**
 * compose.yml, brought up by Docker Compose 2.24 or newer. No image is downloaded: Redis, NATS, Prometheus and Alertmanager are
 * Debian's (`testing/images.sh`), Grafana is left out, and the ports are free ones.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'nats';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { PROCESS_NAMES } from '../run/launcher/child.ts';
import { buildImage, call, findEngine } from './testing/engine.ts';

const IMAGE = 'localhost/health-manager:test';
const SERVERS = 'localhost/health-manager-servers:test';
const FILE = join(packageRoot, 'deploy', 'install', 'compose.yml');
/** No command takes longer (ms). */
const COMPOSE_MS = 150_000;
const PASSWORDS = { NATS_PASSWORD: 'n4ts', STATUS_PASSWORD: 'st4tus', GRAFANA_PASSWORD: 'gr4fana' };

/** Local images and free ports instead of those of compose.yml. */
const OVERRIDE = `
x-local: &local { image: "${IMAGE}", build: !reset null, pull_policy: never }
x-server: &server { image: "${SERVERS}", pull_policy: never }
services:
${PROCESS_NAMES.filter((name) => name !== 'reporter')
  .map((name) => `  ${name}: *local`)
  .join('\n')}
  reporter: { <<: *local, ports: !override ["127.0.0.1::8080"] }
  redis: *server
  nats: { <<: *server, entrypoint: [nats-server], ports: !override ["127.0.0.1::4222"] }
  prometheus: { <<: *server, ports: !override ["127.0.0.1::9090"] }
  alertmanager:
    <<: *server
    entrypoint: [prometheus-alertmanager, --config.file=/etc/alertmanager/alertmanager.yml, --storage.path=/tmp/data]
    ports: !override ["127.0.0.1::9093"]
  grafana: { profiles: [never] }
`;

/** `docker compose` or its program, if it is new enough for the override. */
const composeProgram = [['docker', 'compose'], ['docker-compose']].find(([program = '', ...args]) => {
  const { stdout } = spawnSync(program, [...args, 'version', '--short'], { encoding: 'utf8' });
  const [, major = 0, minor = 0] = /^v?(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 24);
});
const engine = composeProgram === undefined ? undefined : findEngine();
const isPossible = engine?.command[0] === 'docker' && call(engine, 'image', 'inspect', SERVERS).status === 0;

let dir: string;

function compose(env: object, files: readonly string[], ...args: string[]) {
  const [program = '', ...first] = composeProgram ?? [];
  // Not the operator's own .env beside compose.yml.
  const options = ['--project-name', `hm-test-${process.pid}`, '--env-file', join(dir, 'env')];
  writeFileSync(
    join(dir, 'env'),
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const all = [...first, ...options, ...files.flatMap((file) => ['-f', file]), ...args];
  return spawnSync(program, all, { encoding: 'utf8', maxBuffer: 1 << 26, timeout: COMPOSE_MS });
}
const withOverride = () => [FILE, join(dir, 'override.yml')];
const up = (...args: string[]) => compose(PASSWORDS, withOverride(), ...args);

/** `127.0.0.1:<port>` of a service on this host. */
function addressOf(service: string, port: number, copy = 1): string {
  return up('port', '--index', String(copy), service, String(port)).stdout.trim();
}

async function prometheus(path: string): Promise<unknown> {
  const response = await fetch(`http://${addressOf('prometheus', 9090)}/api/v1/${path}`);
  return ((await response.json()) as { data: unknown }).data;
}

beforeAll(() => {
  if (!isPossible) return;
  dir = mkdtempSync(join(tmpdir(), 'hm-compose-'));
  writeFileSync(join(dir, 'override.yml'), OVERRIDE);
  if (!process.env.HM_TEST_IMAGE_IS_BUILT) buildImage(engine, IMAGE);
}, 600_000);
afterAll(() => {
  if (!isPossible) return;
  up('down', '--volumes');
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const WHY = '(needs Docker Compose and the images of testing/images.sh)';

test.skipIf(!isPossible)(`compose.yml is valid, and every port of it is on the loopback ${WHY}`, () => {
  const { status, stdout, stderr } = compose(PASSWORDS, [FILE], 'config', '--format', 'json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { services } = JSON.parse(stdout) as {
    services: Record<string, { ports?: { host_ip?: string; published: string }[] }>;
  };
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports).toHaveLength(5);
  for (const port of ports) expect(port).toMatchObject({ host_ip: '127.0.0.1' });
});

test.skipIf(!isPossible)(`without one of the passwords nothing starts ${WHY}`, () => {
  for (const name of Object.keys(PASSWORDS)) {
    const { status, stderr } = compose({ ...PASSWORDS, [name]: '' }, [FILE], 'config', '--quiet');
    expect(status, name).not.toBe(0);
    expect(stderr).toContain(`${name}`);
  }
});

test.skipIf(!isPossible)(
  `everything comes up: each copy is healthy and scraped, NATS and the reporter want their logins, Alertmanager is connected ${WHY}`,
  { timeout: 240_000 },
  async () => {
    const { status, stderr } = up('up', '--wait', '--wait-timeout', '120');
    expect(status, stderr).toBe(0);
    const containers = up('ps', '--format', '{{.Service}} {{.State}} {{.Health}}').stdout.trim().split('\n');
    for (const name of PROCESS_NAMES)
      expect(containers.filter((line) => line === `${name} running healthy`)).toHaveLength(2);

    const nats = { servers: addressOf('nats', 4222) };
    await expect(connect(nats)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    const connection = await connect({ ...nats, user: 'hm', pass: PASSWORDS.NATS_PASSWORD });
    await connection.close();

    const authorization = `Basic ${btoa(`operator:${PASSWORDS.STATUS_PASSWORD}`)}`;
    for (const copy of [1, 2]) {
      const url = `http://${addressOf('reporter', 8080, copy)}/varz`;
      expect((await fetch(url)).status).toBe(401);
      expect((await fetch(url, { headers: { authorization } })).status).toBe(200);
    }

    await vi.waitFor(async () => {
      const { activeTargets } = (await prometheus('targets')) as { activeTargets: { health: string }[] };
      expect(activeTargets.filter(({ health }) => health === 'up')).toHaveLength(2 * PROCESS_NAMES.length);
    }, 60_000);
    expect(await prometheus('alertmanagers')).toMatchObject({
      activeAlertmanagers: [{ url: expect.stringContaining('alertmanager:9093') }],
    });
  },
);

test.skipIf(!isPossible)(
  `with the password of the examples every process ends ${WHY}`,
  { timeout: 200_000 },
  () => {
    const env = { ...PASSWORDS, NATS_PASSWORD: 'change-me' };
    const { status, stdout, stderr } = compose(env, withOverride(), 'run', '--rm', '--no-deps', '-T', 'sync');
    expect(status).toBe(78);
    expect(`${stdout}${stderr}`).toContain('expected a password of your own (here or in MBUS_URI)');
  },
);
