/** `POST /api/holds/<hold>/release`: an operator releases a hold, as with `hm release`. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { PolicySettings } from '../../common/policy/settings.ts';
import type { Clock } from '../../common/redis/clock.ts';
import type { RedisConnections } from '../../common/redis/connection/connections.ts';
import {
  isHoldOn,
  RELEASE_FIELD,
  type ReleasableHold,
  requestRelease,
} from '../../common/redis/fleet/holds.ts';
import { readFleetFacts } from '../../common/redis/scripts/fleet/read-fleet-facts.ts';
import type { Health } from '../../common/runtime/health.ts';
import type { Logger } from '../../common/runtime/log/log.ts';
import { readRedis, UnavailableError } from '../http/read-redis.ts';

interface Options {
  app: FastifyInstance;
  redis: RedisConnections;
  clock: Clock;
  policy: PolicySettings;
  log: Logger;
  health: Health;
}

const HoldParameter = Compile(Type.Enum(Object.keys(RELEASE_FIELD) as ReleasableHold[]));

/** Replies 202 if the release is requested, 409 if the hold is not on, 404 for any other hold. */
export function addRelease({ app, redis, clock, policy, log, health }: Options): void {
  app.post<{ Params: { hold: string } }>('/api/holds/:hold/release', async (request, reply) => {
    const name = request.params.hold;
    if (!HoldParameter.Check(name)) return reply.code(404).send({ error: 'not found' });
    const nowMs = clock.nowMs();
    let requested: boolean;
    try {
      requested = await readRedis(health, async () => {
        if (!isHoldOn(name, await readFleetFacts(redis), nowMs, policy)) return false;
        await requestRelease(redis, name, nowMs);
        return true;
      });
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      return reply.code(503).send({ error: error.message });
    }
    if (!requested) return reply.code(409).send({ error: `${name} is not on` });
    log.warn(
      { event: 'hold_release_requested', hold: name, from: request.ip },
      'an operator requested the release of a hold',
    );
    return reply.code(202).send({ requested: name });
  });
}
