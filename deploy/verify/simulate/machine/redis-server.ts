import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../../common/runtime/package-root.ts';

/** A redis-server whose clock is the simulation's. */
export interface VirtualRedis {
  port: number;
  stop(): Promise<void>;
}

const SOURCE = join(packageRoot, 'deploy', 'verify', 'simulate', 'machine', 'virtual-clock.c');

/**
 * Starts redis-server with `virtual-clock.c`, on a free loopback port and without persistence.
 *
 * @param clockFile see `VirtualTime`
 * @throws Error when there is no C compiler, or redis-server does not start
 */
export async function startVirtualRedis(clockFile: string): Promise<VirtualRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-simulate-redis-'));
  const library = join(dir, 'virtual-clock.so');
  compile(library);
  const port = await freePort();
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'];
  // The threads of jemalloc wait by the wall clock, so while it stands still they would not wait at all.
  args.push('--jemalloc-bg-thread', 'no');
  // Redis defers some work to a later turn of its event loop when it may; here each command is complete at its reply.
  const child = spawn(
    'redis-server',
    [...args, '--hz', '1', '--dynamic-hz', 'no', '--activerehashing', 'no'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LD_PRELOAD: library, HM_VIRTUAL_CLOCK: clockFile },
    },
  );
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async () => {
    kill();
    await ended;
    process.off('exit', kill);
    rmSync(dir, { recursive: true, force: true });
  };
  const problem = await new Promise<string | undefined>((resolve) => {
    let output = '';
    const read = (data: Buffer) => {
      output = `${output}${data}`.slice(-2_000);
      if (output.includes('Ready to accept connections')) resolve(undefined);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', ({ message }) => resolve(message));
    child.once('close', () => resolve(output));
  });
  if (problem === undefined) return { port, stop };
  await stop();
  throw new Error(`redis-server did not start with the virtual clock: ${problem}`);
}

function compile(library: string): void {
  const compiler = process.env.CC ?? 'cc';
  const { error, status, stderr } = spawnSync(
    compiler,
    ['-O2', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl'],
    { encoding: 'utf8' },
  );
  if (error !== undefined)
    throw new Error(
      `simulate: expected a C compiler for the virtual clock of Redis, found none: ${compiler}: ${error.message}. ` +
        'Install gcc or clang, or name one in CC.',
    );
  if (status !== 0) throw new Error(`simulate: ${compiler} did not compile ${SOURCE}: ${stderr}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
