import { FIELD, LAYOUT_VERSION } from '../../common/redis/keys.ts';
import { SCHEMA } from '../../common/redis/schema.ts';
import { FIELD_NOTES } from '../../common/redis/schema-fields.ts';
import { code, GENERATED, plain, table } from './markdown.ts';

/** `redis.md`: every key in Redis. */
export function redisPage(): string {
  return [
    GENERATED('`common/redis/schema.ts`'),
    '# Redis',
    '',
    `Every key that the health manager uses (layout version ${LAYOUT_VERSION}). \`<prefix>\` is \`redis.prefix\`,`,
    '`<slice>` a number from 0 to `slices` - 1: the CRC-32 of the droplet id, modulo `slices`. What stands in braces is',
    'the hash tag, so all keys of a slice are in one slot of a Redis Cluster. Times are epoch milliseconds on the clock of',
    'Redis. Every field has one writer.',
    '',
    table(
      ['key', 'type', 'holds', 'writer', 'readers', 'life'],
      SCHEMA.map(({ key, type, holds, writer, readers, life }) => [
        key.split(' and ').map(code).join(' and '),
        type,
        plain(holds),
        plain(writer),
        plain(readers),
        plain(life),
      ]),
    ),
    '## Fields of a droplet',
    '',
    'Of the hash `<prefix>:{<slice>}:droplet:<id>`. A name that ends in a colon is followed by an id or an index.',
    '',
    table(
      ['field', 'writer', 'holds'],
      (Object.keys(FIELD) as (keyof typeof FIELD)[]).map((name) => [
        code(FIELD[name]),
        FIELD_NOTES[name].writer,
        plain(FIELD_NOTES[name].holds),
      ]),
    ),
    'To read a droplet without knowing its slice:',
    '',
    '```sh',
    "redis-cli --scan --pattern 'hm:*:droplet:<id>'    # its key",
    "redis-cli HGETALL 'hm:{81}:droplet:<id>'          # all of it, readable",
    '```',
    '',
  ].join('\n');
}
