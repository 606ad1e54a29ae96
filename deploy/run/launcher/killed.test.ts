import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { isAlive } from './process-table.ts';

/** A launcher from dist/ as a child process. Its stand-ins have the folder in their command lines. */
const LAUNCHER = `
  import { pino } from 'pino';
  import { launch } from ${JSON.stringify(join(packageRoot, 'dist/deploy/run/launcher/launcher.js'))};
  const [dir, stub] = process.argv.slice(1);
  const launcher = launch({
    settings: { mbusGiven: false },
    log: pino(),
    dataDir: dir,
    command: (name) => ({ program: process.execPath, args: ['-e', stub, dir, name] }),
    env: process.env,
    output: { stdout: process.stdout, stderr: process.stderr, format: (line) => line },
  });
  process.on('SIGTERM', () => launcher.stop());
`;

const READY = `console.log(JSON.stringify({ event: 'ready', process: process.argv[2] })); setInterval(() => {}, 1000);`;
/** Ends when the channel to its parent disconnects, as common/process.ts does. */
const COOPERATIVE = `${READY} process.on('SIGTERM', () => process.exit()); process.on('disconnect', () => process.exit());`;
const STUBBORN = `${READY} process.on('SIGTERM', () => {}); process.on('disconnect', () => {});`;

let dir: string;
beforeAll(() => {
  execFileSync(join(packageRoot, 'deploy/setup.sh'));
}, 120_000);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-killed-'));
});
afterEach(() => {
  for (const pid of processesOf(dir)) process.kill(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** Pids of the processes with the folder in their command lines: servers, stand-ins and guards. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isAlive(pid) && commandLine(pid).includes(folder));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // ended
  }
}

/** Starts a launcher and waits until all of its processes are ready. */
async function startLauncher(stub: string) {
  const args = ['--input-type=module', '-e', LAUNCHER, '--', dir, stub];
  const child = spawn(process.execPath, args, { cwd: packageRoot, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('all processes are ready')) break;
  }
  child.stdout.resume();
  const stop = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
  };
  return { stop };
}

describe.runIf(process.platform === 'linux')('a launcher killed with SIGKILL', { timeout: 60_000 }, () => {
  test('leaves no process running, and the next one starts in the same folder', async () => {
    const first = await startLauncher(COOPERATIVE);
    // The launcher, five stand-ins, two servers and seven guards; nats-server does not have the folder in its command line.
    expect(processesOf(dir).length).toBeGreaterThanOrEqual(12);
    await first.stop('SIGKILL');
    await expect.poll(() => processesOf(dir)).toEqual([]);

    const second = await startLauncher(COOPERATIVE);
    await second.stop('SIGTERM');
    expect(processesOf(dir)).toEqual([]);
  });

  test('leaves no process that ignores SIGTERM', async () => {
    const launcher = await startLauncher(STUBBORN);
    await launcher.stop('SIGKILL');
    await expect.poll(() => processesOf(dir), { timeout: 40_000, interval: 100 }).toEqual([]);
  });

  test('can be followed at once by another, which waits for the old Redis to end', async () => {
    const first = await startLauncher(COOPERATIVE);
    await first.stop('SIGKILL');
    const second = await startLauncher(COOPERATIVE);
    await second.stop('SIGTERM');
    await expect.poll(() => processesOf(dir)).toEqual([]);
  });
});
