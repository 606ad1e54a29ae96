import type { DeaLiveness, Droplet } from './droplet.ts';
import { dropletFromReply } from './record.ts';
import type { RedisConnections } from './redis.ts';

/**
 * Droplets as they are in Redis now, in the order of `ids`; an Error in the place of a record that cannot be
 * read (see RecordError), undefined in the place of one that does not exist.
 */
export async function readDroplets(
  { client, keys }: RedisConnections,
  ids: readonly string[],
): Promise<(Droplet | Error | undefined)[]> {
  const replies = await Promise.all(
    ids.map((id) => (client.call('HGETALL', keys.droplet(id)) as Promise<string[]>).catch(unlessWrongType)),
  );
  return replies.map((reply, at) => {
    if (reply instanceof Error) return reply;
    try {
      return dropletFromReply(ids[at] as string, reply);
    } catch (error) {
      return error as Error;
    }
  });
}

/** Somebody put something else there by hand: that is a matter of this one record. */
function unlessWrongType(error: Error): Error {
  if (error.message.startsWith('WRONGTYPE')) return error;
  throw error;
}

/** When the DEAs of these droplets were heard; a DEA that never was (or long ago) is not in the map. */
export async function readDeas(
  { client, keys }: RedisConnections,
  droplets: Iterable<Droplet>,
): Promise<Map<string, DeaLiveness>> {
  const names = new Set<string>();
  for (const droplet of droplets) for (const instance of droplet.instances) names.add(instance.dea);
  const deas = [...names];
  if (deas.length === 0) return new Map();
  const [heard, previous] = await Promise.all([
    client.zmscore(keys.deasHeard, ...deas),
    client.zmscore(keys.deasPrevious, ...deas),
  ]);
  const liveness = new Map<string, DeaLiveness>();
  deas.forEach((dea, at) => {
    const heardMs = heard[at];
    if (heardMs == null) return;
    const previousMs = previous[at];
    liveness.set(dea, {
      heardMs: Number(heardMs),
      ...(previousMs == null ? {} : { previousMs: Number(previousMs) }),
    });
  });
  return liveness;
}

/** What Redis says of the deployment as a whole; the policy's holds follow from it. Times in ms on Redis's clock. */
export interface FleetFacts {
  /** Ingestors have been listening without a gap, from then to then; absent if none ever was. */
  listening?: { sinceMs: number; untilMs: number };
  /** The ingestor that has been silent for longest without having signed off. */
  mostSilentIngestorMs?: number;
  /** Begin and end of the latest complete pass; absent before the first. */
  pass?: { begunMs: number; succeededMs: number };
  /** State of the holds that have one of their own, as JSON of the one who writes it. */
  massLoss?: string;
  massDelete?: string;
}

/** One command. */
export async function readFleetFacts({ scripts, keys }: RedisConnections): Promise<FleetFacts> {
  const [since, until, silent, completed, succeeded, massLoss, massDelete] = await scripts.fleetFacts(
    [keys.listening, keys.ingestors, keys.syncState, keys.holds],
    [],
  );
  const facts: FleetFacts = {};
  if (since && until) facts.listening = { sinceMs: Number(since), untilMs: Number(until) };
  if (silent) facts.mostSilentIngestorMs = Number(silent);
  if (completed && succeeded) facts.pass = { begunMs: Number(completed), succeededMs: Number(succeeded) };
  if (massLoss) facts.massLoss = massLoss;
  if (massDelete) facts.massDelete = massDelete;
  return facts;
}
