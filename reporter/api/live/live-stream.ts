/** `/api/live`: the data of the dashboard as server-sent events. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { LiveBroadcaster } from './live-broadcaster.ts';

/** Enough for a team with some tabs each; a viewer costs a connection and a buffer. */
const MAX_VIEWERS = 200;
/** A viewer with more unread data is disconnected. Its browser connects again and gets the full state. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;
/** A browser that lost the connection connects again after this time. */
const RETRY_MS = 2_000;

export function addLive(app: FastifyInstance, broadcaster: LiveBroadcaster): void {
  app.get('/api/live', (request, reply) => {
    if (broadcaster.size >= MAX_VIEWERS) {
      return reply.code(503).send({ error: `${MAX_VIEWERS} dashboards are open already; close one` });
    }
    const stream = new Readable({ read: () => undefined });
    stream.push(`retry: ${RETRY_MS}\n\n`);
    const remove = broadcaster.add({
      mayAct: request.operator?.isReadOnly !== true,
      send(frames) {
        stream.push(frames);
        if (stream.readableLength > MAX_UNREAD_BYTES) stream.destroy();
      },
    });
    stream.once('close', remove);
    return reply
      .type('text/event-stream')
      .headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      .send(stream);
  });
}
