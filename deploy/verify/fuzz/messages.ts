/** Everything that arrives as JSON: the messages of the contract and the replies of the bulk API. */

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
} from '../../../common/messages/incoming/incoming.ts';
import { peekDeaId } from '../../../common/messages/incoming/peek-dea-id.ts';
import * as wire from '../../../common/messages/schemas.ts';
import type { Parsed } from '../../../common/messages/validation.ts';
import { decodeDesired, encodeDesired } from '../../../common/redis/records/record-codec.ts';
import { bytes, nearlyValid, valid } from './arbitrary.ts';
import { check, type Target, target } from './target.ts';

/** The rejection reasons that are not names of fields. */
const REASONS = ['encoding', 'json', 'no object', 'entry', 'too many droplets'];
const PARTITION = 'default';

type Answer = Parsed<object | number>;

function fieldsOf(schema: TSchema): string[] {
  const { properties = {}, items } = schema as { properties?: Record<string, TSchema>; items?: TSchema };
  const inner = Object.values(properties).flatMap(fieldsOf);
  return [...Object.keys(properties), ...inner, ...(items === undefined ? [] : fieldsOf(items))];
}

/**
 * A valid message is accepted or belongs to another partition. Any other is rejected for a known reason, and nothing is
 * accepted that the schema does not allow.
 *
 * @param required the part of the schema that must hold for the message as a whole to be accepted
 */
function message(
  name: string,
  schema: TSchema,
  required: TSchema,
  parse: (bytes: Buffer) => Answer,
): Target[] {
  const reasons = new Set([...REASONS, ...fieldsOf(schema)]);
  const allowed = Compile(required);
  const outcome = (answer: Answer): string => {
    if ('foreign' in answer) return 'foreign';
    if ('ok' in answer) return 'ok';
    check(reasons.has(answer.reject), `${name}: unknown reason ${answer.reject}`);
    return answer.reject;
  };
  const fitting = target(`${name}, fitting`, 10, valid(schema), (value) => {
    const result = outcome(parse(Buffer.from(JSON.stringify(value))));
    check(result === 'ok' || result === 'foreign', `${name}: a valid message is rejected: ${result}`);
    return result;
  });
  const any = target(`${name}, any`, 60, bytes(schema), (input) => {
    const answer = parse(input);
    const result = outcome(answer);
    if ('ok' in answer)
      check(allowed.Check(JSON.parse(input.toString())), `${name}: an invalid message is accepted`);
    if ('ok' in answer && typeof answer.ok === 'object' && 'rejected' in answer.ok) {
      const rejected = answer.ok.rejected as { reason: string }[];
      if (Array.isArray(rejected)) {
        for (const { reason } of rejected) check(reasons.has(reason), `${name}: unknown reason ${reason}`);
        if (rejected[0] !== undefined) return `in part: ${rejected[0].reason}`;
      }
    }
    return result;
  });
  return [fitting, any];
}

/** The schema with any entries, because each entry is checked separately. */
const inParts = (schema: TSchema): TSchema => {
  const { properties } = schema as unknown as { properties: Record<string, object> };
  return { ...schema, properties: { ...properties, droplets: { type: 'array' } } } as TSchema;
};
const STATUS = { ...wire.STATUS_REQUEST, required: ['droplet', 'state'] } as unknown as TSchema;

const bulkEntry = target(
  'bulk entry',
  60,
  fc.oneof(valid(wire.BULK_ENTRY), nearlyValid(wire.BULK_ENTRY)),
  (entry) => {
    const parsed = parseBulkEntry('id', entry);
    if ('reject' in parsed) return parsed.reject;
    // The stored entry reads back unchanged.
    // Redis adds the time of the change to an entry without one.
    const desired = { ...parsed.ok, updatedAtS: parsed.ok.updatedAtS ?? 1_397_574_896 };
    const again = decodeDesired(encodeDesired(desired));
    check(
      JSON.stringify(again) === JSON.stringify(desired),
      'bulk entry: the stored entry reads back changed',
    );
    return 'ok';
  },
);

const tail = target('DEA at the end of a heartbeat', 30, bytes(wire.HEARTBEAT), (input) => {
  const dea = peekDeaId(input);
  if (dea === undefined) return 'not there';
  const parsed = parseHeartbeat(input, PARTITION);
  if ('ok' in parsed)
    check(parsed.ok.dea === dea, 'the end of the heartbeat has another DEA than the parsed heartbeat');
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
      // These three are only shown, so a wrong one is left out.
      properties: { ...wire.EXITED.properties, crash_timestamp: {}, exit_status: {}, exit_description: {} },
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
      required: ['results'],
      properties: { results: { type: 'object' } },
    } as unknown as TSchema,
    parseBulkPage,
  ),
  ...message('bulk credentials', wire.CREDENTIALS, wire.CREDENTIALS, parseBulkCredentials),
  ...message('bulk counts', wire.COUNTS, wire.COUNTS, parseUserCount),
  bulkEntry,
  tail,
];
