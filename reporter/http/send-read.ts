import type { FastifyReply } from 'fastify';
import type { Health } from '../../common/runtime/health.ts';
import { BusyError } from '../queries/shared-reads.ts';
import { readRedis, UnavailableError } from './read-redis.ts';

/** The status and the body of a reply: JSON, or a text. */
export type Answer = readonly [status: number, body: object | string];

const NOT_FOUND: Answer = [404, { error: 'not found' }];

/** Replies with the answer, or with 503 while Redis does not answer or too much is being read. */
export async function sendAnswer(
  health: Health,
  reply: FastifyReply,
  run: () => Promise<Answer>,
): Promise<FastifyReply> {
  try {
    const [status, body] = await readRedis(health, run);
    return reply.code(status).send(body);
  } catch (error) {
    if (!(error instanceof UnavailableError || error instanceof BusyError)) throw error;
    return reply.code(503).send({ error: error.message });
  }
}

/** Replies with what was read from Redis; 404 if there is nothing. */
export function sendRead(
  health: Health,
  reply: FastifyReply,
  read: () => Promise<object | undefined>,
): Promise<FastifyReply> {
  return sendAnswer(health, reply, async () => {
    const found = await read();
    return found === undefined ? NOT_FOUND : [200, found];
  });
}

export function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: 'not found' });
}
