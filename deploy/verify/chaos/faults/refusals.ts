/** How a server refuses on purpose, in chaos and in the simulation. */
import { SUBJECTS } from '../../../../common/messages/subjects.ts';

/** A setting of Redis by which it refuses writes. */
export interface Refusal {
  setting: string;
  refusing: string;
  usual: string;
}

export const REFUSALS: Readonly<Record<string, Refusal>> = {
  'out of memory': { setting: 'maxmemory', refusing: '1mb', usual: '0' },
  'too few replicas': { setting: 'min-replicas-to-write', refusing: '1', usual: '0' },
};

/** What NATS may refuse to subscribe. */
export const DENIABLE = [SUBJECTS.heartbeat, SUBJECTS.exited, SUBJECTS.updated, SUBJECTS.shutdown] as const;

/** A refused subscription is retried every 2 s. */
export const SUBSCRIBED_AGAIN_MS = 3_000;
