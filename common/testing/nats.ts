import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A real nats-server of a test's own. */
export interface TestNats {
  port: number;
  /** `nats://127.0.0.1:<port>` */
  url: string;
  pid: number;
  /** Ends it (by its pid) and waits until it is gone. Can be called again. */
  stop(): Promise<void>;
  /** The same without its having a chance to say goodbye. */
  kill(): Promise<void>;
  /** It neither reads nor answers any more, its connections stay open. */
  pause(): void;
  resume(): void;
}

export interface TestNatsOptions {
  /** That of a stopped one, to be its successor; a free one otherwise. */
  port?: number;
  /** More of nats-server's options. */
  args?: readonly string[];
}

/** Ready when it returns. @throws Error with the server's own words when it does not come up */
export async function startNats({ port = -1, args = [] }: TestNatsOptions = {}): Promise<TestNats> {
  const dir = mkdtempSync(path.join(tmpdir(), 'hm-nats-'));
  const portsDir = ['--ports_file_dir', dir];
  const child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), ...portsDir, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    await spawned(child);
    const pid = child.pid as number;
    const url = await Promise.race([
      portsFile(dir, `nats-server_${pid}.ports`),
      gone.then(() => Promise.reject(new Error(`nats-server ended: ${said}`))),
    ]);
    const end = async (signal: NodeJS.Signals) => {
      child.kill(signal);
      if (signal === 'SIGTERM') child.kill('SIGCONT');
      await gone;
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
    return undefined; // Not there or not whole yet: its change is awaited.
  }
}

function accepting(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    // The server's first words.
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
  });
}
