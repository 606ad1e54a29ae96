import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** A child process that ends when this process does, however this process ends. */
export interface Guarded {
  pid: number;
  /** Present when it was asked for as 'pipe'. */
  stdout: Readable | null;
  stderr: Readable | null;
  /** Resolves when nothing of it is left: its exit code, or null when a signal ended it. Never rejects. */
  exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when it has not ended `killAfterMs` later (10 s). Returns when it is gone. */
  stop(killAfterMs?: number): Promise<void>;
}

interface Options {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Where its output goes: to this process through a pipe, nowhere, or to an open file. */
  stdout: 'pipe' | 'ignore' | number;
  stderr: 'pipe' | 'ignore' | number;
  /**
   * Opens Node's channel to it, for a Node program that stops by itself when the channel breaks: that is
   * its sign then that we are gone, and the guard only ends it when it has not stopped in time.
   */
  channel?: true;
}

/** A process that was told to stop gets this long, as the contract says for ours. */
const KILL_AFTER_MS = 10_000;

/**
 * The shell becomes the program (`exec`: same pid), after it left a guard beside it that reads a pipe from
 * us. Nothing ever comes through that pipe but a farewell: it breaks when we die, even by SIGKILL, and then
 * the guard stops the program. (The kernel's own way, PR_SET_PDEATHSIG, is Linux only and not open to Node.)
 */
const GUARD = `
tell=$1; shift
(
  if read farewell <&3; then exit; fi
  if [ $tell = tell ]; then kill -TERM $$; fi
  left=20
  while [ $left -gt 0 ] && kill -0 $$; do sleep 0.5 || sleep 1; left=$((left - 1)); done
  kill -KILL $$
) >/dev/null 2>&1 4<&- &
exec "$@" 3<&-
`;

/**
 * Starts `command` (an absolute path). It is a process group of its own, so that a Ctrl-C in the terminal
 * reaches only us: we stop what we started in the right order.
 *
 * @throws Error when no process could be started at all
 */
export async function spawnGuarded(command: string, args: string[], options: Options): Promise<Guarded> {
  const child = spawn(
    '/bin/sh',
    ['-c', GUARD, 'guard', options.channel ? 'leave' : 'tell', command, ...args],
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
  const exited = watch(child);
  const pid = child.pid ?? (await started(child));
  const kill = (signal: NodeJS.Signals) => void child.kill(signal);
  const end = async (killAfterMs: number) => {
    kill('SIGTERM');
    const timer = new AbortController();
    const late = delay(killAfterMs, 'late' as const, { signal: timer.signal }).catch(() => undefined);
    if ((await Promise.race([exited, late])) === 'late') kill('SIGKILL');
    timer.abort();
    await exited;
  };
  let ended: Promise<void> | undefined;
  // One SIGTERM however often it is called: a second one means "at once" to our processes.
  const stop = (killAfterMs = KILL_AFTER_MS) => (ended ??= end(killAfterMs));
  return { pid, stdout: child.stdout, stderr: child.stderr, exited, kill, stop };
}

function watch(child: ChildProcess): Promise<number | null> {
  const pipe = child.stdio[3] as Socket | undefined;
  if (!pipe) return Promise.resolve(null);
  // A guard that someone killed leaves a broken pipe; its program runs on, and is stopped as ever.
  pipe.on('error', () => undefined);
  pipe.resume();
  const guardGone = new Promise<void>((resolve) => pipe.once('close', () => resolve()));
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      pipe.end('farewell\n');
      void guardGone.then(() => resolve(code));
    });
  });
}

/** Node leaves out the pid when it could not start the process, and says why a moment later. */
function started(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => child.once('error', reject));
}
