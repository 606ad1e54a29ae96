import type { DeaLiveness } from '../../model/droplet.ts';

/** Half a millisecond before the time: no heartbeat has such a time, so it shows that none was received then. */
export const RESTORED_MS = -0.5;

/** The last and the previous heartbeat of a DEA as Redis has them: a score, or nothing. */
export function decodeLiveness(last: string, previous?: string | null): DeaLiveness {
  const lastHeartbeatMs = Math.ceil(Number(last));
  const previousMs = previous == null ? undefined : Number(previous);
  return {
    lastHeartbeatMs,
    ...((isRestored(Number(last)) || isRestored(previousMs)) && { isRestored: true }),
    ...(previousMs !== undefined && !isRestored(previousMs) && { previousHeartbeatMs: previousMs }),
  };
}

const isRestored = (ms: number | undefined): boolean => ms !== undefined && !Number.isInteger(ms);
