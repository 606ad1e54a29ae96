const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One Ctrl-C may arrive twice, from the terminal and from npm. Only a later signal forces the stop. */
const SAME_CTRL_C_MS = 500;

interface Handlers {
  /** An orderly stop; may be called several times. */
  stop(): void;
  /** Called for a second Ctrl-C: stops without waiting. */
  force(): void;
}

/**
 * Stops on SIGINT, SIGTERM and SIGHUP, and when the reader of the output is gone (`hm start | head`).
 *
 * @param signals the signals that stop; others have another meaning
 * @returns removes the signal handlers
 */
export function onStopSignals(
  { stop, force }: Handlers,
  signals: readonly NodeJS.Signals[] = SIGNALS,
): () => void {
  let stoppedMs: number | undefined;
  const onSignal = () => {
    if (stoppedMs !== undefined && performance.now() - stoppedMs > SAME_CTRL_C_MS) force();
    stoppedMs ??= performance.now();
    stop();
  };
  for (const signal of signals) process.on(signal, onSignal);
  process.stdout.on('error', stop);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
