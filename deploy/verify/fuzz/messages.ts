/** Everything that comes in as JSON: each message of the contract, the bulk API's replies. */

import fc from 'fast-check';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import {
  parseBulkCredentials,
  parseBulkEntry,
  parseBulkPage,
  parseUserCount,
} from '../../../common/messages/bulk.ts';
import {
  parseDropletRequest,
  parseExited,
  parseHealthRequest,
  parseHeartbeat,
  parseShutdown,
  parseStatusRequest,
  parseUpdated,
} from '../../../common/messages/incoming.ts';
import { peekDeaId } from '../../../common/messages/peek-dea-id.ts';
import * as wire from '../../../common/messages/schemas.ts';
import type { Parsed } from '../../../common/messages/validation.ts';
import { decodeDesired, encodeDesired } from '../../../common/redis/record-codec.ts';
import { bytes, fits, spoilt } from './arbitrary.ts';
import { must, type Target, target } from './target.ts';

/** Reasons that are no field's name. */
const REASONS = ['encoding', 'json', 'no object', 'entry', 'too many droplets'];
const PARTITION = 'default';

type Answer = Parsed<object | number>;

function fieldsOf(schema: TSchema): string[] {
  const { properties = {}, items } = schema as { properties?: Record<string, TSchema>; items?: TSchema };
  const inner = Object.values(properties).flatMap(fieldsOf);
  return [...Object.keys(properties), ...inner, ...(items === undefined ? [] : fieldsOf(items))];
}

/**
 * What fits is understood (or another partition's), what does not is rejected for one of the few known reasons, and
 * nothing is understood that the schema does not allow.
 *
 * @param least what of the schema must be right for the message as a whole to be understood
 */
function message(name: string, schema: TSchema, least: TSchema, parse: (bytes: Buffer) => Answer): Target[] {
  const reasons = new Set([...REASONS, ...fieldsOf(schema)]);
  const allowed = Compile(least);
  const fate = (answer: Answer): string => {
    if ('foreign' in answer) return 'foreign';
    if ('ok' in answer) return 'ok';
    must(reasons.has(answer.reject), `${name}: unknown reason ${answer.reject}`);
    return answer.reject;
  };
  const fitting = target(`${name}, fitting`, 10, fits(schema), (value) => {
    const got = fate(parse(Buffer.from(JSON.stringify(value))));
    must(got === 'ok' || got === 'foreign', `${name}: refuses what fits: ${got}`);
    return got;
  });
  const any = target(`${name}, any`, 60, bytes(schema), (input) => {
    const answer = parse(input);
    const got = fate(answer);
    if ('ok' in answer) must(allowed.Check(JSON.parse(input.toString())), `${name}: takes what does not fit`);
    if ('ok' in answer && typeof answer.ok === 'object' && 'rejected' in answer.ok) {
      const rejected = answer.ok.rejected as { reason: string }[];
      if (Array.isArray(rejected)) {
        for (const { reason } of rejected) must(reasons.has(reason), `${name}: unknown reason ${reason}`);
        if (rejected[0] !== undefined) return `in part: ${rejected[0].reason}`;
      }
    }
    return got;
  });
  return [fitting, any];
}

/** With entries of which each is judged by itself. */
const inParts = (schema: TSchema): TSchema => {
  const { properties } = schema as unknown as { properties: Record<string, object> };
  return { ...schema, properties: { ...properties, droplets: { type: 'array' } } } as TSchema;
};
const STATUS = { ...wire.STATUS_REQUEST, required: ['droplet', 'state'] } as unknown as TSchema;

const bulkEntry = target(
  'bulk entry',
  60,
  fc.oneof(fits(wire.BULK_ENTRY), spoilt(wire.BULK_ENTRY)),
  (entry) => {
    const parsed = parseBulkEntry('id', entry);
    if ('reject' in parsed) return parsed.reject;
    // What is stored is what is read again.
    const again = decodeDesired(encodeDesired(parsed.ok));
    must(
      JSON.stringify(again) === JSON.stringify(parsed.ok),
      'bulk entry: another one is read than was stored',
    );
    return 'ok';
  },
);

const tail = target('DEA at the end of a heartbeat', 30, bytes(wire.HEARTBEAT), (input) => {
  const dea = peekDeaId(input);
  if (dea === undefined) return 'not there';
  const parsed = parseHeartbeat(input, PARTITION);
  if ('ok' in parsed)
    must(parsed.ok.dea === dea, 'the end of the heartbeat names another DEA than the heartbeat');
  return 'ok';
});

export const MESSAGES: readonly Target[] = [
  ...message('dea.heartbeat', wire.HEARTBEAT, inParts(wire.HEARTBEAT), (b) => parseHeartbeat(b, PARTITION)),
  ...message(
    'droplet.exited',
    wire.EXITED,
    {
      ...wire.EXITED,
      required: ['droplet', 'version', 'instance', 'index', 'reason'],
      properties: { ...wire.EXITED.properties, crash_timestamp: {} },
    } as unknown as TSchema,
    (b) => parseExited(b, PARTITION),
  ),
  ...message('droplet.updated', wire.UPDATED, wire.UPDATED, (b) => parseUpdated(b, PARTITION)),
  ...message('dea.shutdown', wire.SHUTDOWN, wire.SHUTDOWN, parseShutdown),
  ...message(
    'healthmanager.status',
    wire.STATUS_REQUEST,
    { ...STATUS, properties: { ...wire.STATUS_REQUEST.properties, version: {} } } as unknown as TSchema,
    parseStatusRequest,
  ),
  ...message('healthmanager.health', wire.HEALTH_REQUEST, inParts(wire.HEALTH_REQUEST), parseHealthRequest),
  ...message(
    'healthmanager.droplet',
    wire.DROPLET_REQUEST,
    inParts(wire.DROPLET_REQUEST),
    parseDropletRequest,
  ),
  ...message(
    'bulk page',
    wire.BULK_PAGE,
    {
      type: 'object',
      required: ['results', 'bulk_token'],
      properties: { results: { type: 'object' }, bulk_token: { type: 'object' } },
    } as unknown as TSchema,
    parseBulkPage,
  ),
  ...message('bulk credentials', wire.CREDENTIALS, wire.CREDENTIALS, parseBulkCredentials),
  ...message('bulk counts', wire.COUNTS, wire.COUNTS, parseUserCount),
  bulkEntry,
  tail,
];
