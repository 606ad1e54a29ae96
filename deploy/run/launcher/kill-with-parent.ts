import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { withTimeout } from '../../../common/runtime/tasks/with-timeout.ts';

/** A child process that ends when this process does, even when this process is killed. */
export interface BoundChild {
  pid: number;
  /** Null unless the option is 'pipe'. */
  stdout: Readable | null;
  stderr: Readable | null;
  /** Resolves when the process and its guard have ended: its exit code, or null after a signal. Never rejects. */
  exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after `killAfterMs` (default 10 s). Returns when the process has ended. */
  stop(killAfterMs?: number): Promise<void>;
}

interface Options {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Where the output goes: to this process through a pipe, nowhere, or to an open file descriptor. */
  stdout: 'pipe' | 'ignore' | number;
  stderr: 'pipe' | 'ignore' | number;
  /**
   * Opens Node's IPC channel, for a Node program that stops when the channel disconnects. The guard then sends no
   * SIGTERM, and kills the program only when it has not stopped in time.
   */
  channel?: true;
  /** Default: that of this process. */
  umask?: number;
}

/** The time of an orderly stop (contract: programs). */
const KILL_AFTER_MS = 10_000;

/**
 * The shell starts a guard in the background, then becomes the program with `exec`, under the same pid. The guard
 * reads a pipe from this process. One line comes through it when the program has ended. The pipe breaks when this
 * process dies, even by SIGKILL, and the guard stops the program. (PR_SET_PDEATHSIG of the kernel would do, but it
 * is Linux only and Node does not offer it.)
 */
const GUARD = `
on_break=$1; umask "$2"; shift 2
(
  if read ended <&3; then exit; fi
  if [ $on_break = term ]; then kill -TERM $$; fi
  left=20
  while [ $left -gt 0 ] && kill -0 $$; do sleep 0.5 || sleep 1; left=$((left - 1)); done
  kill -KILL $$
) >/dev/null 2>&1 4<&- &
exec "$@" 3<&-
`;

/**
 * Starts `command` (an absolute path) as a process group of its own. A Ctrl-C in the terminal therefore reaches only
 * this process, which stops its children in the right order.
 *
 * @throws Error when the process could not be started
 */
export async function spawnBoundToParent(
  command: string,
  args: string[],
  options: Options,
): Promise<BoundChild> {
  const umask = (options.umask ?? process.umask()).toString(8);
  const child = spawn(
    '/bin/sh',
    ['-c', GUARD, 'guard', options.channel ? 'wait' : 'term', umask, command, ...args],
    {
      stdio: [
        'ignore',
        options.stdout,
        options.stderr,
        'pipe',
        ...(options.channel ? (['ipc'] as const) : []),
      ],
      detached: true,
      ...(options.env && { env: options.env }),
      ...(options.cwd && { cwd: options.cwd }),
    },
  );
  const exited = exitOf(child);
  const pid = child.pid ?? (await spawnFailure(child));
  const kill = (signal: NodeJS.Signals) => void child.kill(signal);
  const terminate = async (killAfterMs: number) => {
    kill('SIGTERM');
    await withTimeout(exited, { timeoutMs: killAfterMs, onTimeout: () => kill('SIGKILL') });
    await exited;
  };
  let stopped: Promise<void> | undefined;
  // One SIGTERM however often `stop` is called: a second one makes our processes exit at once.
  const stop = (killAfterMs = KILL_AFTER_MS) => (stopped ??= terminate(killAfterMs));
  return { pid, stdout: child.stdout, stderr: child.stderr, exited, kill, stop };
}

function exitOf(child: ChildProcess): Promise<number | null> {
  const pipe = child.stdio[3] as Socket | undefined;
  if (!pipe) return Promise.resolve(null);
  // A guard that somebody killed leaves a broken pipe. Its program runs on and can still be stopped.
  pipe.on('error', () => undefined);
  pipe.resume();
  const guardEnded = new Promise<void>((resolve) => pipe.once('close', () => resolve()));
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      pipe.end('ended\n');
      void guardEnded.then(() => resolve(code));
    });
  });
}

/** When a process could not be started, Node leaves out its pid and emits the reason a moment later. */
function spawnFailure(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => child.once('error', reject));
}
