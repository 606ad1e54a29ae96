import { Cluster } from 'ioredis';
import type { RedisConnections } from '../connection/connections.ts';

/** Keys that one call looks at. Redis does nothing else meanwhile: for well under a millisecond. */
const KEYS_PER_CALL = 1000;

/** Ends the part of a record's key before its id. Neither a prefix nor a slice contains a brace. */
const END = '}:droplet:';

/**
 * The ids of all droplets that have a record, found by the keys themselves: the index may have lost entries at the same time as what
 * makes a search necessary. It reads the names of all keys, so it is for rare searches. A droplet may be found twice; one that is
 * added or removed meanwhile may be found or not.
 */
export async function* scanIds({ client, keys }: RedisConnections): AsyncGenerator<string[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  const escaped = keys.droplet('').replace(/[*?[\]\\]/g, '\\$&');
  const match = escaped.replace(/\{\d+\}:droplet:$/, '{*}:droplet:*');
  for (const node of nodes) {
    for await (const found of node.scanStream({ match, count: KEYS_PER_CALL }))
      yield (found as string[]).map((key) => key.slice(key.indexOf(END) + END.length));
  }
}
