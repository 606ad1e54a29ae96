/** `GET /api/apps`: the apps, filtered, sorted, page by page. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { readHolds } from '../../../common/redis/fleet/holds/holds.ts';
import type { Health } from '../../../common/runtime/health.ts';
import { type AppQuery, readAppPage } from '../../../common/views/apps/app-list.ts';
import { APP_PROBLEMS, APP_SORTS, type AppProblem } from '../../../common/views/apps/app-list-types.ts';
import { readProcessesView, waitForNudger } from '../../../common/views/read-processes.ts';
import { sendRead } from '../../http/send-read.ts';
import type { LiveSources } from '../live/live-feed.ts';
import { sharedIds } from './shared-ids.ts';

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;
const Text = Type.String({ maxLength: 512 });

/** The parameters of the query. */
export const APPS_QUERY = Type.Object({
  /** Some of the problems, separated by commas, or `any`. */
  problem: Type.Optional(Text),
  search: Type.Optional(Text),
  dea: Type.Optional(Text),
  sort: Type.Optional(Type.Enum(APP_SORTS)),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,2}$' })),
  cursor: Type.Optional(Text),
});
const Query = Compile(APPS_QUERY);

/** Replies 400 to a query that is not valid, 503 while Redis does not answer. */
export function addApps(options: LiveSources & { app: FastifyInstance; health: Health }): void {
  const { app, health, redis, clock, policy, reader } = options;
  const sortedIds = sharedIds(redis);
  app.get('/api/apps', async ({ query }, reply) => {
    const found = Query.Check(query) ? appQuery(query) : undefined;
    if (found === undefined) {
      const error = `query: expected problem (${APP_PROBLEMS.join(', ')} or any), search, dea, sort (${APP_SORTS.join(' or ')}), limit (1 to ${MAX_LIMIT}) and cursor`;
      return reply.code(400).send({ error });
    }
    return sendRead(health, reply, async () => {
      const [holds, processes] = await Promise.all([
        readHolds(redis, clock, policy),
        readProcessesView(redis, clock.nowMs()),
      ]);
      const workers = waitForNudger(processes);
      return readAppPage({ redis, sortedIds, reader, holds, workers, policy }, found);
    });
  });
}

interface RawQuery {
  problem?: string;
  search?: string;
  dea?: string;
  sort?: (typeof APP_SORTS)[number];
  limit?: string;
  cursor?: string;
}

/** @returns undefined if a problem is not known or the limit is too large */
function appQuery({ problem, search, dea, sort = 'guid', limit, cursor }: RawQuery): AppQuery | undefined {
  const problems =
    problem === undefined || problem === ''
      ? undefined
      : problem === 'any'
        ? APP_PROBLEMS
        : problem.split(',');
  const isKnown = (one: string): one is AppProblem => APP_PROBLEMS.some((known) => known === one);
  if (problems !== undefined && !problems.every(isKnown)) return undefined;
  const rows = Number(limit ?? DEFAULT_LIMIT);
  if (rows > MAX_LIMIT) return undefined;
  return {
    ...{ sort, limit: rows },
    ...(problems !== undefined && { problems: problems.filter(isKnown) }),
    ...(search !== undefined && { search: search.trim() }),
    ...(dea !== undefined && { dea }),
    ...(cursor !== undefined && { cursor }),
  };
}
