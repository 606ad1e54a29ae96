import type { FastifyReply } from 'fastify';
import type { Health } from '../../common/runtime/health.ts';
import { BusyError } from '../queries/droplet-reader.ts';
import { readRedis, UnavailableError } from './read-redis.ts';

/** Replies with what was read from Redis: 404 if there is nothing, 503 while Redis does not answer or too much is being read. */
export async function sendRead(
  health: Health,
  reply: FastifyReply,
  read: () => Promise<object | undefined>,
): Promise<FastifyReply> {
  try {
    const found = await readRedis(health, read);
    return found === undefined ? notFound(reply) : reply.send(found);
  } catch (error) {
    if (!(error instanceof UnavailableError || error instanceof BusyError)) throw error;
    return reply.code(503).send({ error: error.message });
  }
}

export function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: 'not found' });
}
