/** Exit codes of a program that a signal has ended, as shells show them. */
const ENDED_BY = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Ends the process on SIGTERM or SIGINT for as long as nothing else handles them. Without this, a process that is number 1
 * of its container ignores them until it has installed its own handlers, because the system has no default for it.
 *
 * @param isRunning the command runs processes: a stop is what they are meant for, and nothing is connected yet
 */
export function stopEarly(isRunning: boolean): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(isRunning ? 0 : ENDED_BY[signal]);
    });
  }
}
