import { performance } from 'node:perf_hooks';
import { HEADERS } from '../../../common/messages/subjects.ts';
import type { Msg } from '../../../common/nats/bus.ts';

/** A `health.start` or `health.stop` as it was seen on NATS. */
export interface SentMessage {
  kind: 'start' | 'stop';
  droplet: string;
  /** Of a start. */
  index: number | undefined;
  /** Of a stop. */
  instance: string | undefined;
  /** Header `hm-reason`. */
  reason: string;
  /** Header `Nats-Msg-Id`. */
  id: string;
  /** Header `hm-decision`. */
  decision: string;
  /** Seconds since the deployment started. */
  at: number;
  /** When it arrived (ms on this process's monotonic clock). */
  realMs: number;
  /** The payload, encoded and decoded. */
  text: string;
  message: Record<string, unknown>;
}

export function toSentMessage(kind: SentMessage['kind'], message: Msg, at: number): SentMessage {
  const text = message.string();
  const parsed = JSON.parse(text) as Record<string, unknown>;
  const header = (name: string) => message.headers?.get(name) ?? '';
  return {
    kind,
    droplet: String(parsed.droplet),
    index: (parsed.indices as number[] | undefined)?.[0],
    instance: Object.keys((parsed.instances as object | undefined) ?? {})[0],
    reason: header(HEADERS.reason),
    id: header(HEADERS.messageId),
    decision: header(HEADERS.decision),
    at,
    realMs: performance.now(),
    text,
    message: parsed,
  };
}

/** One line, e.g. `start web/2 (missing)`, `stop i7 of web (extra_index)`. */
export function summaryOf({ kind, droplet, index, instance, reason }: SentMessage): string {
  return kind === 'start'
    ? `start ${droplet}/${index} (${reason})`
    : `stop ${instance} of ${droplet} (${reason})`;
}
