/** What the parsers accept is what the specifications say: each message with and without each of its fields. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { describe, expect, test } from 'vitest';
import {
  parseBulkCredentials,
  parseBulkEntry,
  parseBulkPage,
  parseUserCount,
} from '../../../common/messages/bulk.ts';
import {
  parseAppState,
  parseAppStateBulk,
  parseDropletRequest,
  parseExited,
  parseHealthRequest,
  parseHeartbeat,
  parseShutdown,
  parseStatusRequest,
  parseUpdated,
} from '../../../common/messages/incoming/incoming.ts';
import * as schemas from '../../../common/messages/schemas.ts';
import { packageRoot } from '../../../common/runtime/package-root.ts';
import { asyncApi } from './asyncapi.ts';
import { CHANNELS } from './channels.ts';
import { openApi } from './openapi.ts';
import { plainSchema } from './yaml.ts';

const specifications = JSON.stringify([asyncApi(), openApi()]);

test('every schema that validates input stands in a specification as it is', () => {
  const isUsed = (schema: TSchema) => specifications.includes(JSON.stringify(plainSchema(schema)));
  const missing = Object.entries(schemas).filter(([, schema]) => !isUsed(schema as TSchema));
  expect(missing.map(([name]) => name)).toEqual([]);
});

test('the parsers read fields only by the types of these schemas', () => {
  for (const file of ['incoming/incoming.ts', 'bulk.ts']) {
    const text = readFileSync(join(packageRoot, 'common', 'messages', file), 'utf8');
    // What `decode` returns, or a record of a list, is given a type of `wire` before a field of it is read.
    expect(text.match(/\b(decoded\.ok|value)\.[a-z_]+/g) ?? [], file).toEqual([]);
    expect(text.match(/as JsonRecord|as any/g) ?? [], file).toEqual([]);
  }
});

type Parse = (message: unknown) => 'accepted' | 'partly' | 'rejected';

/** Of a parser of bytes. */
function of(parse: (bytes: Uint8Array) => object): Parse {
  return (message) => {
    const parsed = parse(Buffer.from(JSON.stringify(message))) as {
      reject?: string;
      ok?: { rejected?: unknown[] };
    };
    if (parsed.reject !== undefined) return 'rejected';
    return (parsed.ok?.rejected?.length ?? 0) > 0 ? 'partly' : 'accepted';
  };
}

const ENTRY = {
  ...{ id: 'a', instances: 1, state: 'STARTED', memory: 256, package_state: 'STAGED' },
  ...{ updated_at: '2014-04-15T15:14:56+00:00', version: 'v' },
};

/** Each kind of input: its schema, an example with every field, its parser. */
const INPUTS: [name: string, schema: TSchema, example: unknown, parse: Parse][] = [
  ['heartbeat', schemas.HEARTBEAT, CHANNELS.heartbeat.example, of((b) => parseHeartbeat(b, 'default'))],
  ['exited', schemas.EXITED, CHANNELS.exited.example, of((b) => parseExited(b, 'default'))],
  ['updated', schemas.UPDATED, CHANNELS.updated.example, of((b) => parseUpdated(b, 'default'))],
  ['shutdown', schemas.SHUTDOWN, CHANNELS.shutdown.example, of(parseShutdown)],
  ['statusRequest', schemas.STATUS_REQUEST, CHANNELS.statusRequest.example, of(parseStatusRequest)],
  ['healthRequest', schemas.HEALTH_REQUEST, CHANNELS.healthRequest.example, of(parseHealthRequest)],
  ['dropletRequest', schemas.DROPLET_REQUEST, CHANNELS.dropletRequest.example, of(parseDropletRequest)],
  ['appState', schemas.APP_STATE_REQUEST, CHANNELS.appState.example, of(parseAppState)],
  ['appStateBulk', schemas.APP_STATE_BULK_REQUEST, CHANNELS.appStateBulk.example, of(parseAppStateBulk)],
  ['credentials', schemas.CREDENTIALS, { user: 'u', password: 'p' }, of(parseBulkCredentials)],
  ['counts', schemas.COUNTS, { counts: { user: 1 } }, of(parseUserCount)],
  ['bulk page', schemas.BULK_PAGE, { results: { a: ENTRY }, bulk_token: { id: 1 } }, bulkPage],
];

function bulkPage(message: unknown): ReturnType<Parse> {
  const parsed = parseBulkPage(Buffer.from(JSON.stringify(message)));
  if ('reject' in parsed) return 'rejected';
  const { ids, results } = parsed.ok;
  return ids.every((id) => 'ok' in parseBulkEntry(id, results[id])) ? 'accepted' : 'partly';
}

interface Node {
  properties?: Record<string, Node>;
  required?: string[];
  patternProperties?: Record<string, Node>;
  items?: Node;
}

interface Field {
  path: string;
  isRequired: boolean;
  /** A copy of the example without it, or with another value. */
  without(value?: unknown): unknown;
}

/** Every field of the schema, in the example. */
function fieldsOf(node: Node, example: unknown, at: string, put: (value: unknown) => unknown): Field[] {
  if (node.items !== undefined)
    return fieldsOf(node.items, (example as unknown[])[0], `${at}[]`, (value) => put([value]));
  const [any] = Object.values(node.patternProperties ?? {});
  const record = example as Record<string, unknown>;
  if (any !== undefined) {
    const [key = ''] = Object.keys(record);
    return fieldsOf(any, record[key], `${at}.*`, (value) => put({ [key]: value }));
  }
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    expect(Object.hasOwn(record, name), `the example has ${at}.${name}`).toBe(true);
    const { [name]: own, ...others } = record;
    const field: Field = {
      path: `${at}.${name}`,
      isRequired: node.required?.includes(name) === true,
      without: (value) => put(value === undefined ? others : { ...others, [name]: value }),
    };
    return [field, ...fieldsOf(child, own, field.path, (value) => put({ ...others, [name]: value }))];
  });
}

/** The controllers of some years leave out or change what others must have. */
const TOLERATED = new Set(['bulk page.bulk_token', 'bulk page.bulk_token.id']);

describe.each(INPUTS)('%s', (name, schema, example, parse) => {
  const fields = fieldsOf(schema as Node, example, name, (value) => value);

  test('the example with every field is accepted', () => {
    expect(fields.length).toBeGreaterThan(0);
    expect(parse(example)).toBe('accepted');
  });

  test.each(fields.map((field) => [field.path, field] as const))('%s', (path, { isRequired, without }) => {
    if (TOLERATED.has(path)) return;
    // Left out: refused exactly if the specification requires it.
    expect(parse(without())).toEqual(isRequired ? expect.stringMatching(/partly|rejected/) : 'accepted');
    if (isRequired) expect(parse(without([[]]))).toMatch(/partly|rejected/);
  });

  test('other fields are ignored', () => {
    if (Array.isArray(example)) return;
    expect(parse({ ...(example as object), another: { field: 1 } })).toBe('accepted');
  });
});
