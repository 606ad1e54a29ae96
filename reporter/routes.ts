/** What the reporter serves over HTTP besides `/healthz`, `/readyz` and `/metrics`. JSON, errors too. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Health } from '../common/health.ts';
import type { PolicySettings } from '../common/policy/settings.ts';
import { isId } from '../common/values.ts';
import { isKnown } from './answers.ts';
import type { ComponentFacts } from './component.ts';
import { dropletJson } from './droplet-json.ts';
import type { Fleet } from './fleet.ts';
import { BusyError, type Records } from './records.ts';
import { varz } from './varz.ts';

interface Options {
  app: FastifyInstance;
  health: Health;
  policy: PolicySettings;
  records: Records;
  facts(): ComponentFacts;
  fleet(): Promise<Fleet>;
}

/** Whoever looks at a page does not wait longer. */
const WITHIN_MS = 5_000;

const INDEX = {
  name: 'health manager, reporter',
  paths: {
    '/healthz': 'ok while this process runs (no password needed)',
    '/readyz': 'ok, or 503 and why it is not ready (no password needed)',
    '/varz': 'figures of the whole deployment, under the names of HM 2.0',
    '/metrics': 'Prometheus',
    '/api/fleet': 'totals, holds, DEAs, queues',
    '/api/droplets/<guid>': 'all that is known of one droplet',
  },
};

/** Redis does not answer in time. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnavailableError';
  }
}

/** @throws UnavailableError at once where Redis is known to be away, else when it takes too long */
export async function inTime<T>(health: Health, read: () => Promise<T>): Promise<T> {
  const problem = health.problems().get('redis');
  if (problem !== undefined) throw new UnavailableError(`Redis: ${problem}`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnavailableError(`Redis: no answer in ${WITHIN_MS} ms`)), WITHIN_MS);
  });
  try {
    return await Promise.race([read(), late]);
  } finally {
    clearTimeout(timer);
  }
}

export function addRoutes({ app, health, policy, records, facts, fleet }: Options): void {
  const json = async (reply: FastifyReply, read: () => Promise<object | undefined>) => {
    try {
      const found = await inTime(health, read);
      return found === undefined ? notFound(reply) : reply.send(found);
    } catch (error) {
      if (!(error instanceof UnavailableError || error instanceof BusyError)) throw error;
      return reply.code(503).send({ error: error.message });
    }
  };
  app.get('/', async () => INDEX);
  app.get('/varz', (_request, reply) => json(reply, async () => varz(await fleet(), facts())));
  app.get('/api/fleet', (_request, reply) => json(reply, async () => fleetJson(await fleet())));
  // Not as a parameter: these are bounded to fewer characters than an id may have.
  app.get<{ Params: { '*': string } }>('/api/droplets/*', (request, reply) =>
    json(reply, async () => {
      const id = request.params['*'];
      if (!isId(id)) return undefined;
      const { droplets, deas, nowMs } = await records.read([id]);
      const [droplet] = droplets;
      if (droplet instanceof Error) throw droplet;
      return droplet !== undefined && isKnown(droplet)
        ? dropletJson({ droplet, deas, nowMs, policy })
        : undefined;
    }),
  );
  app.all('/*', (_request, reply) => notFound(reply));
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: 'not found' });
}

/** As others see it: snake_case, epoch seconds. */
function fleetJson({ nowMs, totals, auditMs, holds, deas, queues, sync, counters }: Fleet): object {
  return {
    now: nowMs / 1000,
    totals,
    holds: holds
      .filter(({ on }) => on)
      .map(({ hold, sinceMs, droplets }) => ({
        hold,
        since: sinceMs === undefined ? null : sinceMs / 1000,
        droplets,
      })),
    deas,
    queues,
    analysis: { duration: auditMs / 1000 },
    sync: {
      succeeded: sync.succeededMs === undefined ? null : sync.succeededMs / 1000,
      duration: sync.durationMs === undefined ? null : sync.durationMs / 1000,
      listed: sync.listed ?? null,
      rejected: sync.rejected ?? null,
    },
    messages: counters,
  };
}
