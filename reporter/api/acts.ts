/** The routes by which an operator acts: pause, resume, release, sync, retry. As `hm hold`, `hm release`, `hm sync --now`, `hm retry`. */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify';
import type { Counter } from 'prom-client';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { PAUSE_BODY, RETRY_BODY } from '../../common/messages/acts.ts';
import { isId } from '../../common/messages/validation.ts';
import {
  DEFAULT_HOLD_MS,
  HOLD_COVERS,
  MAX_OPERATOR_HOLDS,
  type OperatorAct,
} from '../../common/model/operator-hold.ts';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import { isHoldOn, RELEASE_FIELD, type ReleasableHold } from '../../common/redis/fleet/holds/holds.ts';
import {
  type Actor,
  pause,
  release,
  resume,
  retry,
  retryableIndices,
  syncNow,
} from '../../common/redis/fleet/holds/operator-acts.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import type { Health } from '../../common/runtime/health.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { readReleasePreview, releaseText } from '../../common/views/release-preview.ts';
import { type Answer, sendAnswer } from '../http/send-read.ts';
import type { DropletReader } from '../queries/droplet-reader.ts';

export interface ActsOptions {
  app: FastifyInstance;
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  log: Logger;
  health: Health;
  reader: Pick<DropletReader, 'read'>;
  /** Acts by outcome. */
  acts: Counter<'act' | 'outcome'>;
  /** The rate limit of starts. */
  limits: { startsPerPeriod: number; startsPeriodMs: number };
}

const HoldParameter = Compile(Type.Enum(Object.keys(RELEASE_FIELD) as ReleasableHold[]));
const PauseBody = Compile(PAUSE_BODY);
const RetryBody = Compile(RETRY_BODY);

/**
 * Adds the routes. Each answers JSON: 2xx when it is done or requested, 400 for a wrong request, 404 for what is not there, 409 for what
 * is not possible now, 503 without Redis or while too much is being read. The server refuses writes of the read-only login and of other sites' pages (403).
 */
export function addActs(options: ActsOptions): void {
  const { app, redis, clock, policy, health, reader, limits } = options;
  const answer = (reply: FastifyReply, run: () => Promise<Answer>) => sendAnswer(health, reply, run);
  /** An act, with its log line and its count. */
  const post = <P>(
    act: OperatorAct,
    path: string,
    run: (request: FastifyRequest<{ Params: P }>, who: Actor) => Promise<Answer>,
  ) =>
    app.post<{ Params: P }>(path, counted(options, act), (request, reply) =>
      answer(reply, () => run(request, { by: request.operator?.name ?? 'unknown', nowMs: clock.nowMs() })),
    );

  app.get<{ Params: { hold: string } }>('/api/holds/:hold/release', ({ params: { hold } }, reply) =>
    answer(reply, async () => {
      if (!HoldParameter.Check(hold)) return NOT_FOUND;
      const preview = await readReleasePreview(redis, hold, clock.nowMs(), limits);
      return [200, { ...preview, text: releaseText(preview) }];
    }),
  );
  post<{ hold: string }>('release', '/api/holds/:hold/release', async ({ params: { hold } }, who) => {
    if (!HoldParameter.Check(hold)) return NOT_FOUND;
    if (!isHoldOn(hold, await readFleetFacts(redis), who.nowMs, policy))
      return [409, { error: `${hold} is not on` }];
    await release(redis, hold, who);
    return [202, { requested: hold }];
  });
  post('hold', '/api/holds', async ({ body }, who) => {
    if (!PauseBody.Check(body) || ![body.droplet, body.dea].every((guid) => guid === undefined || isId(guid)))
      return [
        400,
        { error: `expected {covers: ${HOLD_COVERS.join(' or ')}, why, droplet or dea, durationMs}` },
      ];
    if (body.droplet !== undefined && body.dea !== undefined)
      return [400, { error: 'expected droplet or dea, found both' }];
    const { why, durationMs = DEFAULT_HOLD_MS, ...what } = body;
    const hold = await pause(redis, { ...what, why: why.trim(), durationMs }, who);
    return hold === 'full'
      ? [409, { error: `${MAX_OPERATOR_HOLDS} holds are on: end one first` }]
      : [201, hold];
  });
  post<{ id: string }>('end_hold', '/api/holds/operator/:id/end', async ({ params: { id } }, who) => {
    const hold = await resume(redis, id, who);
    return hold === undefined ? [404, { error: 'this hold has ended' }] : [200, hold];
  });
  post('sync', '/api/sync', async (_request, who) => {
    await syncNow(redis, who);
    return [202, { requested: 'sync' }];
  });
  post('retry', '/api/retry', async ({ body }, who) => {
    if (!RetryBody.Check(body) || !isId(body.droplet)) return [400, { error: 'expected {droplet, index}' }];
    const [droplet] = (await reader.read([body.droplet])).droplets;
    if (droplet instanceof Error) throw droplet;
    if (droplet === undefined) return NOT_FOUND;
    const indices = retryableIndices(droplet, who.nowMs, policy, body.index);
    if (indices.length === 0) return [409, { error: 'nothing is given up, flapping or unplaced' }];
    const isStored = await retry(redis, { droplet: droplet.id, indices }, who);
    return isStored ? [202, { droplet: droplet.id, indices }] : NOT_FOUND;
  });
}

const NOT_FOUND: Answer = [404, { error: 'not found' }];

/** Logs and counts an act when it is answered, also one that was refused before its route ran. */
function counted({ acts, log }: Pick<ActsOptions, 'acts' | 'log'>, act: OperatorAct): RouteShorthandOptions {
  return {
    onResponse: async (request, reply) => {
      const status = reply.statusCode;
      const outcome = status < 300 ? 'done' : status === 401 || status === 403 ? 'refused' : 'failed';
      acts.inc({ act, outcome });
      const by = request.operator?.name;
      const about = { act, outcome, status, from: request.ip, ...(by !== undefined && { by }) };
      const params = request.params as Record<string, string>;
      log.warn({ event: 'operator_act', ...about, ...params }, `operator: ${act} ${outcome}`);
    },
  };
}
