/** A heartbeat as received, not yet parsed. */
export interface RawHeartbeat {
  bytes: Uint8Array;
  /** SHA-1 of the bytes: heartbeats with the same digest are equal. */
  digest: string;
  receivedMs: number;
  /** The earliest time at which it may have been delivered to this process (ms). */
  earliestMs: number;
  /** When its claims are retried (epoch ms); absent at first. */
  retriedMs?: number;
  /** Whether it waits while another ingestor stores a heartbeat of the same DEA that was received at about the same time. */
  mayWait?: boolean;
  /** Called once, by a sender that waits for it. */
  settle?: (outcome: HeartbeatOutcome) => void;
}

/** `stored`: also by a newer heartbeat of the DEA; `invalid`: it cannot be parsed; `not_stored`: the DEA must repeat it. */
export type HeartbeatOutcome = 'stored' | 'invalid' | 'not_stored';

/** A heartbeat that replaces others of its DEA: when it is settled, so are they. */
export function replacing<H extends Pick<RawHeartbeat, 'settle'>>(heartbeat: H, older: readonly H[]): H {
  const settles = older.flatMap(({ settle }) => settle ?? []);
  if (settles.length === 0) return heartbeat;
  const { settle: own } = heartbeat;
  return {
    ...heartbeat,
    settle: (outcome) => {
      for (const settle of settles) settle(outcome);
      own?.(outcome);
    },
  };
}
