import type { Attributes } from '@opentelemetry/api';
import { startMessage, stopMessage } from '../common/messages/incoming.ts';
import { checkStart, checkStop } from '../common/policy/recheck.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import type { StartJob, StopJob } from '../common/queues/queues.ts';
import { ATTRIBUTES } from '../common/tracing/tracing.ts';
import type { Delivery } from './deliver.ts';

/** What a job of `starts` or `restarts` is to send. */
export function startDelivery(job: StartJob, policy: PolicySettings): Delivery {
  return {
    id: job.id,
    droplet: job.droplet,
    kind: 'start',
    reason: job.reason,
    log: { index: job.index, version: job.version },
    decidedMs: (droplet) => {
      const pending = droplet.slots.get(job.index)?.start;
      return pending?.id === job.id && !droplet.outcomes.has(job.id) ? pending.decidedMs : undefined;
    },
    recheck: (droplet, deas, holds, nowMs) => {
      const checked = checkStart(droplet, job, deas, holds, nowMs, policy);
      return 'send' in checked ? { ...checked, send: startMessage(checked.send) } : checked;
    },
  };
}

/** What a job of `stops` is to send. */
export function stopDelivery(job: StopJob, policy: PolicySettings): Delivery {
  return {
    id: job.id,
    droplet: job.droplet,
    kind: 'stop',
    reason: job.reason,
    log: { instance: job.instance },
    decidedMs: (droplet) => {
      const pending = droplet.stops.get(job.instance);
      return pending?.id === job.id && !droplet.outcomes.has(job.id) ? pending.decidedMs : undefined;
    },
    recheck: (droplet, deas, holds, nowMs) => {
      const checked = checkStop(droplet, job, deas, holds, nowMs, policy);
      return 'send' in checked ? { ...checked, send: stopMessage(checked.send) } : checked;
    },
  };
}

/** What the span of a delivery says of it. */
export function spanAttributes({ id, droplet, kind, reason, log }: Delivery): Attributes {
  return {
    [ATTRIBUTES.droplet]: droplet,
    [ATTRIBUTES.kind]: kind,
    [ATTRIBUTES.reason]: reason,
    [ATTRIBUTES.decision]: id,
    ...(log.index !== undefined && { [ATTRIBUTES.index]: log.index }),
    ...(log.instance !== undefined && { [ATTRIBUTES.instance]: log.instance }),
  };
}
