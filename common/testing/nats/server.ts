import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A real nats-server for one test. */
export interface TestNats {
  port: number;
  /** `nats://127.0.0.1:<port>` */
  url: string;
  pid: number;
  /** Ends it and waits until it has exited. Can be called again. */
  stop(): Promise<void>;
  /** Kills it, so that it cannot close its connections in an orderly way. */
  kill(): Promise<void>;
  /** Suspends it: it neither reads nor answers, and its connections stay open. */
  pause(): void;
  resume(): void;
}

export interface TestNatsOptions {
  /** The port of a stopped server that this one replaces; by default a free one. */
  port?: number;
  /** Further options of nats-server. */
  args?: readonly string[];
  /** Without headers, and so without "no responders", as before release 2.2. */
  withoutHeaders?: boolean;
}

/** Returns when the server accepts connections. @throws Error with the server's output when it does not start */
export async function startNats({
  port = -1,
  args = [],
  withoutHeaders = false,
}: TestNatsOptions = {}): Promise<TestNats> {
  const dir = mkdtempSync(path.join(tmpdir(), 'hm-nats-'));
  const portsDir = ['--ports_file_dir', dir];
  const config = path.join(dir, 'nats.conf');
  writeFileSync(config, 'no_header_support: true\n');
  const options = [...portsDir, ...(withoutHeaders ? ['-c', config] : []), ...args];
  const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  let output = '';
  child.stderr.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    await spawned(child);
    const pid = child.pid as number;
    const url = await Promise.race([
      portsFile(dir, `nats-server_${pid}.ports`),
      exited.then(() => Promise.reject(new Error(`nats-server ended: ${output}`))),
    ]);
    const end = async (signal: NodeJS.Signals) => {
      child.kill(signal);
      if (signal === 'SIGTERM') child.kill('SIGCONT');
      await exited;
      process.off('exit', killed);
      rmSync(dir, { recursive: true, force: true });
    };
    const actualPort = Number(new URL(url).port);
    await accepting(actualPort);
    return {
      port: actualPort,
      url: `nats://127.0.0.1:${actualPort}`,
      pid,
      stop: () => end('SIGTERM'),
      kill: () => end('SIGKILL'),
      pause: () => void child.kill('SIGSTOP'),
      resume: () => void child.kill('SIGCONT'),
    };
  } catch (error) {
    killed();
    process.off('exit', killed);
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve());
    child.once('error', reject);
  });
}

/** The server writes the file when it listens: `{"nats":["nats://127.0.0.1:4222"], ...}`. */
async function portsFile(dir: string, name: string): Promise<string> {
  const watcher = watch(dir);
  try {
    for (;;) {
      const url = readPorts(path.join(dir, name));
      if (url !== undefined) return url;
      await new Promise((resolve) => watcher.once('change', resolve));
    }
  } finally {
    watcher.close();
  }
}

function readPorts(file: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { nats: string[] }).nats[0];
  } catch {
    return undefined; // missing or incomplete: `portsFile` waits for its next change
  }
}

function accepting(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    // The server sends INFO first.
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
  });
}
