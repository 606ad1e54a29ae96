/** hm9000's question over HTTP (contract: hm9000's dialects). */
import type { FastifyInstance } from 'fastify';
import { parseAppStates } from '../../../common/messages/incoming/incoming.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import type { Health } from '../../../common/runtime/health.ts';
import { sendRead } from '../../http/send-read.ts';
import { type DropletReader, knownView } from '../../queries/droplet-reader.ts';
import { appStateQuery } from '../../queries/query-kinds.ts';

interface Options {
  app: FastifyInstance;
  health: Health;
  policy: PolicySettings;
  reader: DropletReader;
}

/** A controller sends 50 apps at once; this is room for 10,000. */
const MAX_BODY_BYTES = 2 << 20;

/**
 * Adds `POST /bulk_app_state`: a list of apps, answered by a map. 400 for what is no list, 503 while Redis cannot be read. An app
 * whose record cannot be read is left out, as an unknown one.
 */
export function addAppStates({ app, health, policy, reader }: Options): void {
  app.post('/bulk_app_state', { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
    const parsed = parseAppStates(request.body);
    if ('reject' in parsed)
      return reply.code(400).send({ error: `expected a list of {droplet, version}: ${parsed.reject}` });
    const query = appStateQuery(parsed.ok);
    return sendRead(health, reply, async () => {
      const reads = await reader.read(query.ids);
      const views = reads.droplets.map((droplet) => knownView(droplet, reads, policy));
      const [answered] = query.replies({ views, holds: reads.holds });
      return answered?.answer ?? {};
    });
  });
}
