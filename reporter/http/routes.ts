/** The reporter's HTTP routes besides `/healthz`, `/readyz` and `/metrics`. Replies, also errors, are JSON. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Dialect } from '../../common/messages/dialects/dialects.ts';
import { isId } from '../../common/messages/validation.ts';
import type { OperatorHold } from '../../common/model/operator-hold.ts';
import type { Health } from '../../common/runtime/health.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { dropletJson } from '../../common/views/droplet/droplet-json.ts';
import { type Fleet, statusOfFleet } from '../../common/views/fleet.ts';
import { type ActsOptions, addActs } from '../api/acts.ts';
import type { LiveBroadcaster } from '../api/live/live-broadcaster.ts';
import type { LiveSources } from '../api/live/live-feed.ts';
import { addLive } from '../api/live/live-stream.ts';
import { addAppStates } from '../api/pages/app-states.ts';
import { addApps } from '../api/pages/apps.ts';
import { readDeaPage } from '../api/pages/dea-page.ts';
import { addDecisions } from '../api/pages/decisions.ts';
import { readDropletPage } from '../api/pages/droplet-page.ts';
import { knownView } from '../queries/droplet-reader.ts';
import type { ComponentFacts } from './component.ts';
import { addDocs } from './docs.ts';
import { addPages } from './pages.ts';
import { notFound, sendRead } from './send-read.ts';
import { varz } from './varz.ts';

interface Options extends LiveSources, Pick<ActsOptions, 'acts' | 'limits'> {
  app: FastifyInstance;
  log: Logger;
  health: Health;
  broadcaster: LiveBroadcaster;
  dialect: Dialect;
  facts(): ComponentFacts;
}

const INDEX = {
  name: 'health manager, reporter',
  paths: {
    '/healthz': 'ok while this process runs (no login needed)',
    '/readyz': 'ok, or 503 with the reasons why it is not ready (no login needed)',
    '/varz': 'figures of the whole deployment under the names that HM 2.0 used',
    '/metrics': 'Prometheus',
    '/': 'dashboard',
    '/queues': 'the queues and their jobs (Bull Board)',
    '/docs': 'the documentation, one page',
    '/openapi.json': 'this HTTP API as OpenAPI 3.1',
    '/asyncapi.json': 'the NATS interface as AsyncAPI 3',
    '/api/fleet': 'totals, holds, DEAs, queues',
    '/api/apps': 'apps by problem, by a part of their guid, by DEA; sorted, page by page with a cursor',
    '/api/decisions':
      'the decision log by app, DEA, kind, reason and time, page by page; format=json or csv for a file',
    '/api/droplets/<guid>': 'the whole record of one droplet',
    '/api/stories/<guid>': 'one droplet with its slots and its story, for the dashboard',
    '/api/deas/<guid>': 'one DEA with its instances, running or lost',
    '/api/live': 'the data of the dashboard as server-sent events',
    '/api/holds/<hold>/release': 'GET: what releasing mass_loss or mass_delete does; POST: ends it',
    '/api/holds': 'POST {covers, droplet or dea, why, durationMs}: pauses starts, stops or both',
    '/api/holds/operator/<id>/end': 'POST: ends such a pause',
    '/api/sync': 'POST: a bulk sync now',
    '/bulk_app_state': 'POST: the state of apps, with dialect hm9000-http',
    '/api/retry': 'POST {droplet, index}: tries given-up, flapping and unplaced indices again',
  },
};

export function addRoutes(options: Options): void {
  const { app, health, policy, reader, facts, fleet, broadcaster } = options;
  const json = (reply: FastifyReply, read: () => Promise<object | undefined>) =>
    sendRead(health, reply, read);
  addPages(app);
  addDocs(app);
  app.get('/api', async () => INDEX);
  app.get('/varz', (_request, reply) => json(reply, async () => varz(await fleet(), facts())));
  app.get('/api/fleet', (_request, reply) => json(reply, async () => fleetJson(await fleet())));
  // A wildcard, because the router limits parameters to fewer characters than an id may have.
  app.get<{ Params: { '*': string } }>('/api/droplets/*', (request, reply) =>
    json(reply, async () => {
      const id = request.params['*'];
      if (!isId(id)) return undefined;
      const reads = await reader.read([id]);
      const [droplet] = reads.droplets;
      if (droplet instanceof Error) throw droplet;
      const view = knownView(droplet, reads, policy);
      return view && dropletJson(view);
    }),
  );
  app.get<{ Params: { '*': string } }>('/api/stories/*', ({ params: { '*': id } }, reply) =>
    json(reply, async () => (isId(id) ? readDropletPage(options, id) : undefined)),
  );
  app.get<{ Params: { '*': string } }>('/api/deas/*', ({ params: { '*': id } }, reply) =>
    json(reply, async () => (isId(id) ? readDeaPage(options, id) : undefined)),
  );
  addApps(options);
  addDecisions(options);
  addLive(app, broadcaster);
  addActs(options);
  if (options.dialect === 'hm9000-http') addAppStates(options);
  app.all('/*', (_request, reply) => notFound(reply));
}

function operatorHoldJson({ id, covers, droplet, dea, why, by, sinceMs, untilMs }: OperatorHold): object {
  return {
    ...{ id, covers, droplet: droplet ?? null, dea: dea ?? null, why, by },
    ...{ sinceMs, untilMs },
  };
}

/** The public form: snake_case, times and durations in milliseconds as `...Ms`. */
function fleetJson(fleet: Fleet): object {
  const { nowMs, totals, slots, auditMs, holds, deas, queues, sync, counters, processes, unknown } = fleet;
  const { level, text } = statusOfFleet(fleet);
  return {
    nowMs,
    status: { level, text },
    actual_state_known: unknown === undefined,
    totals,
    slots: {
      ...slots,
      givenUp: undefined,
      given_up: slots.givenUp ?? null,
      held: slots.held ?? null,
      expected: slots.exact ? (slots.expected ?? 0) : null,
    },
    troubled: fleet.troubled.count,
    holds: holds
      .filter(({ on }) => on)
      .map(({ hold, sinceMs, droplets, operatorHolds }) => ({
        hold,
        sinceMs: sinceMs ?? null,
        droplets,
        ...(operatorHolds && { operator_holds: operatorHolds.map(operatorHoldJson) }),
      })),
    deas,
    processes: processesJson(processes),
    queues,
    analysis: { durationMs: Math.round(auditMs) },
    sync: {
      succeededMs: sync.succeededMs ?? null,
      durationMs: sync.durationMs ?? null,
      listed: sync.listed ?? null,
      rejected: sync.rejected ?? null,
    },
    messages: counters,
  };
}

function processesJson({ running, kinds, versions }: Fleet['processes']): object {
  return {
    running: running.map(({ kind, host, pid, version, sinceMs, lastWorkMs, lagMs, problems }) => ({
      ...{ kind, host, pid, version, sinceMs },
      lastWorkMs: lastWorkMs ?? null,
      lagMs,
      problems: problems ?? {},
    })),
    working: Object.fromEntries(kinds.map(({ kind, working }) => [kind, working])),
    versions,
  };
}
