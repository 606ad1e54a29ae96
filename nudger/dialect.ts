import type { Dialect } from '../common/messages/dialects/dialects.ts';
import { hm9000Start, hm9000Stop } from '../common/messages/dialects/hm9000.ts';
import {
  type StartMessage,
  type StopMessage,
  startMessage,
  stopMessage,
} from '../common/messages/outgoing.ts';
import { SUBJECTS } from '../common/messages/subjects.ts';
import type { StopReason } from '../common/model/reasons.ts';

/** A start or stop as it leaves. */
export interface Outgoing {
  /** The NATS subject; with `hm9000-http` the path below the controller's URL. */
  to: string;
  payload: string;
}

/** How decided starts and stops are encoded. */
export interface DialectEncoder {
  /** @param id of the decision */
  start(message: StartMessage, id: string): Outgoing;
  stop(message: StopMessage, reason: StopReason, id: string): Outgoing;
}

/** The encoder of each dialect (contract: messages out, hm9000's dialects). */
export const ENCODERS: Readonly<Record<Dialect, DialectEncoder>> = {
  hm2: {
    start: (message) => ({ to: SUBJECTS.start, payload: startMessage(message) }),
    stop: (message) => ({ to: SUBJECTS.stop, payload: stopMessage(message) }),
  },
  'hm9000-nats': {
    start: (message, id) => ({ to: SUBJECTS.hm9000Start, payload: hm9000Start(message, id) }),
    stop: (message, reason, id) => ({ to: SUBJECTS.hm9000Stop, payload: hm9000Stop(message, reason, id) }),
  },
  'hm9000-http': {
    start: (message, id) => ({
      to: internalPath('start', message.droplet),
      payload: hm9000Start(message, id),
    }),
    stop: (message, reason, id) => ({
      to: internalPath('stop', message.droplet),
      payload: hm9000Stop(message, reason, id),
    }),
  },
};

function internalPath(kind: 'start' | 'stop', droplet: string): string {
  return `/internal/dea/hm9000/${kind}/${encodeURIComponent(droplet)}`;
}
