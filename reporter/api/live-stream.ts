/** `/api/live`: the dashboard's news as server-sent events. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { LiveBroadcaster } from './live-broadcaster.ts';

/** More than a team with some tabs each; a watcher costs a connection and a buffer. */
const WATCHERS = 200;
/** One who does not read so much is cut off: its browser connects again and is told all that holds. */
const UNREAD_BYTES = 8 * 1024 * 1024;
/** A browser that lost the connection comes again after this. */
const RETRY_MS = 2_000;

export function addLive(app: FastifyInstance, watch: LiveBroadcaster): void {
  app.get('/api/live', (_request, reply) => {
    if (watch.size >= WATCHERS) {
      return reply.code(503).send({ error: `${WATCHERS} browsers watch already` });
    }
    const stream = new Readable({ read: () => undefined });
    stream.push(`retry: ${RETRY_MS}\n\n`);
    const leave = watch.add({
      send(frames) {
        stream.push(frames);
        if (stream.readableLength > UNREAD_BYTES) stream.destroy();
      },
    });
    stream.once('close', leave);
    return reply
      .type('text/event-stream')
      .headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      .send(stream);
  });
}
