import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** How a real process ended. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not be started at all. */
  problem?: string;
}

/**
 * An instance's host is its agent: when the agent is gone, however it went, nothing of the instance may go
 * on. So a second small shell in the instance's process group reads from a pipe that only the agent holds
 * open. The pipe breaks with the agent, and then the shell kills the whole group. (That needs no one who
 * survives, and works alike on Linux and macOS.) The same ends what an instance leaves behind when its main
 * process dies: the agent then closes the pipe.
 */
export const GUARD = `
trap '' HUP INT TERM
( read -r end <&3; kill -KILL -$$ ) >/dev/null 2>&1 &
trap - HUP INT TERM
exec 3<&-
exec sh -c "$1"
`;

/** A command run as a process group of its own; `pid` is the process that `sh -c` runs it in. */
export class InstanceProcess {
  readonly pid: number | undefined;
  /** Resolves when the main process has ended. Never rejects: what could not be started ended at once. */
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;

  /** @param logFile gets its output; without it the output is dropped */
  constructor(command: string, env: NodeJS.ProcessEnv, logFile?: string) {
    const output = logFile === undefined ? 'ignore' : openSync(logFile, 'a');
    this.#child = spawn('/bin/sh', ['-c', GUARD, 'instance', command], {
      detached: true,
      stdio: ['ignore', output, output, 'pipe'],
      env,
    });
    if (typeof output === 'number') closeSync(output);
    // The pipe is only ever closed; that the other end is gone first is no error.
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

  /** Asks the whole group to end, and ends it `graceMs` later if it has not. */
  stop(graceMs: number): void {
    const timer = setTimeout(() => this.kill(), graceMs);
    void this.ended.then(() => clearTimeout(timer));
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, 'SIGTERM');
    } catch {
      // It ended by itself just now.
    }
  }

  /** Ends the whole group now. */
  kill(): void {
    this.#child.stdio[3]?.destroy();
  }
}
