import type { Attributes } from '@opentelemetry/api';
import type { StartJob, StopJob } from '../../common/queues/queues.ts';
import { ATTRIBUTES } from '../../common/tracing/tracing.ts';
import type { DialectEncoder } from '../dialect.ts';
import type { Delivery } from './deliver.ts';

/** The delivery of a job in `starts` or `restarts`. */
export function startDelivery(job: StartJob, encoder: DialectEncoder): Delivery {
  return {
    id: job.id,
    droplet: job.droplet,
    kind: 'start',
    reason: job.reason,
    logFields: { index: job.index, version: job.version },
    decidedMs: (droplet) => {
      const pending = droplet.slots.get(job.index)?.start;
      return pending?.id === job.id && !droplet.outcomes.has(job.id) ? pending.decidedMs : undefined;
    },
    recheck: (recheck) => {
      const result = recheck.checkStart(job);
      return 'send' in result ? { ...result, send: encoder.start(result.send, job.id) } : result;
    },
  };
}

/** The delivery of a job in `stops`. */
export function stopDelivery(job: StopJob, encoder: DialectEncoder): Delivery {
  return {
    id: job.id,
    droplet: job.droplet,
    kind: 'stop',
    reason: job.reason,
    logFields: { instance: job.instance },
    decidedMs: (droplet) => {
      const pending = droplet.stops.get(job.instance);
      return pending?.id === job.id && !droplet.outcomes.has(job.id) ? pending.decidedMs : undefined;
    },
    recheck: (recheck) => {
      const result = recheck.checkStop(job);
      return 'send' in result
        ? { ...result, send: encoder.stop(result.send, result.reason, job.id) }
        : result;
    },
  };
}

/** The attributes of a delivery's span. */
export function spanAttributes({ id, droplet, kind, reason, logFields }: Delivery): Attributes {
  return {
    [ATTRIBUTES.droplet]: droplet,
    [ATTRIBUTES.kind]: kind,
    [ATTRIBUTES.reason]: reason,
    [ATTRIBUTES.decision]: id,
    ...(logFields.index !== undefined && { [ATTRIBUTES.index]: logFields.index }),
    ...(logFields.instance !== undefined && { [ATTRIBUTES.instance]: logFields.instance }),
  };
}
