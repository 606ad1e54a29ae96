import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** How a process ended. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The reason why it could not be started. */
  problem?: string;
}

/**
 * When a DEA ends, even by SIGKILL, its instances must end, as they would with a host. Therefore a second small shell
 * in the instance's process group reads a pipe that only the DEA holds open. When the pipe closes, that shell kills
 * the whole group. This needs no surviving process, and works on Linux and macOS. When the main process of an instance
 * ends, the DEA closes the pipe, which kills the processes that the instance left behind.
 */
export const GUARD = `
trap '' HUP INT TERM
( read -r end <&3; kill -KILL -$$ ) >/dev/null 2>&1 &
trap - HUP INT TERM
exec 3<&-
exec sh -c "$1"
`;

/** A command in a process group of its own; `pid` is that of its shell. */
export class InstanceProcess {
  readonly pid: number | undefined;
  /** Resolves when the main process has ended, or could not be started. Never rejects. */
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;

  /** @param logFile gets the output; default: the output is dropped */
  constructor(command: string, env: NodeJS.ProcessEnv, logFile?: string) {
    const output = logFile === undefined ? 'ignore' : openSync(logFile, 'a');
    this.#child = spawn('/bin/sh', ['-c', GUARD, 'instance', command], {
      detached: true,
      stdio: ['ignore', output, output, 'pipe'],
      env,
    });
    if (typeof output === 'number') closeSync(output);
    // The pipe is only ever closed. An error means that the other end was closed first.
    this.#child.stdio[3]?.on('error', () => {});
    this.pid = this.#child.pid;
    this.ended = new Promise((resolve) => {
      this.#child.once('error', ({ message }) => resolve({ code: null, signal: null, problem: message }));
      this.#child.once('exit', (code, signal) => {
        this.kill();
        resolve({ code, signal });
      });
    });
  }

  /** Sends SIGTERM to the process group, and SIGKILL `graceMs` later. */
  stop(graceMs: number): void {
    const timer = setTimeout(() => this.kill(), graceMs);
    void this.ended.then(() => clearTimeout(timer));
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, 'SIGTERM');
    } catch {
      // It has ended since the check above.
    }
  }

  /** Kills the process group: closing the pipe makes the guard do it. */
  kill(): void {
    this.#child.stdio[3]?.destroy();
  }
}
