import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inputs } from '../../testing/property-seed.ts';
import {
  parseDropletRequest,
  parseExited,
  parseHealthRequest,
  parseHeartbeat,
  parseShutdown,
  parseStatusRequest,
  parseUpdated,
} from './incoming.ts';
import { peekDeaId } from './peek-dea-id.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => utf8(JSON.stringify(value));

/** An entry as a DEA writes it. */
const RAW = {
  cc_partition: 'default',
  droplet: 'd-1',
  version: 'v-1',
  instance: 'i-1',
  index: 0,
  state: 'RUNNING',
  state_timestamp: 1_398_000_000.25,
};

describe('other messages', () => {
  it.each<[string, unknown, unknown]>([
    ['an update', { droplet: 'd-1', cc_partition: 'default' }, { ok: { droplet: 'd-1' } }],
    ['an update of an integer', { droplet: 7 }, { ok: { droplet: '7' } }],
    ['an update elsewhere', { droplet: 'd-1', cc_partition: 'x' }, { foreign: true }],
    ['an update without a droplet', {}, { reject: 'droplet' }],
    ['an update with a bad partition', { droplet: 'd-1', cc_partition: 1 }, { reject: 'cc_partition' }],
  ])('%s', (_, message, expected) => {
    expect(parseUpdated(json(message), 'default')).toEqual(expected);
  });

  it.each<[string, unknown, unknown]>([
    ['a shutdown', { id: 'dea-1', ip: '1.2.3.4', app_id_to_count: { x: 1 } }, { ok: { dea: 'dea-1' } }],
    ['a shutdown without an id', { ip: '1.2.3.4' }, { reject: 'id' }],
    ['a shutdown of an empty id', { id: '' }, { reject: 'id' }],
    ['a shutdown of a number', { id: 7 }, { reject: 'id' }],
  ])('%s', (_, message, expected) => {
    expect(parseShutdown(json(message))).toEqual(expected);
  });

  it.each<[string, unknown, unknown]>([
    [
      'flapping',
      { droplet: 'd', version: 'v', state: 'FLAPPING' },
      { ok: { droplet: 'd', version: 'v', state: 'FLAPPING' } },
    ],
    ['crashed', { droplet: 1, state: 'CRASHED' }, { ok: { droplet: '1', state: 'CRASHED' } }],
    ['flapping without a version', { droplet: 'd', state: 'FLAPPING' }, { reject: 'version' }],
    ['another state', { droplet: 'd', version: 'v', state: 'RUNNING' }, { reject: 'state' }],
    ['no droplet', { state: 'CRASHED' }, { reject: 'droplet' }],
  ])('a status request: %s', (_, message, expected) => {
    expect(parseStatusRequest(json(message))).toEqual(expected);
  });

  it('a health request keeps its good entries', () => {
    const droplets = [
      { droplet: 'd', version: 'v' },
      { droplet: 'd' },
      5,
      { version: 'v' },
      { droplet: 3, version: 'w' },
    ];
    expect(parseHealthRequest(json({ droplets }))).toEqual({
      ok: {
        droplets: [
          { droplet: 'd', version: 'v' },
          { droplet: '3', version: 'w' },
        ],
        rejected: [
          { reason: 'version', count: 1 },
          { reason: 'entry', count: 1 },
          { reason: 'droplet', count: 1 },
        ],
      },
    });
    expect(parseHealthRequest(json({ droplets: 'd' }))).toEqual({ reject: 'droplets' });
  });

  it('a droplet request keeps its good entries', () => {
    expect(parseDropletRequest(json({ droplets: [{ droplet: '__proto__' }, {}, { droplet: 1 }] }))).toEqual({
      ok: { droplets: ['__proto__', '1'], rejected: [{ reason: 'droplet', count: 1 }] },
    });
    expect(parseDropletRequest(utf8('x'))).toEqual({ reject: 'json' });
  });
});

describe('any payload', () => {
  const parsers: ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => parseHeartbeat(bytes, 'default'),
    (bytes) => parseExited(bytes, 'default'),
    (bytes) => parseUpdated(bytes, 'default'),
    parseShutdown,
    parseStatusRequest,
    parseHealthRequest,
    parseDropletRequest,
    peekDeaId,
  ];
  const names = ['droplets', 'dea', 'id', '__proto__', ...Object.keys(RAW), 'reason', 'crash_timestamp'];
  const values = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      fc.constantFrom('RUNNING', 'CRASHED', 'FLAPPING', 'default', '__proto__', 0, 1e300, 'x'.repeat(300)),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .array(fc.tuple(fc.constantFrom(...names), tie('value')), { maxLength: 8 })
        .map((pairs) => Object.fromEntries(pairs)),
    ),
  }));

  it('makes no parser throw, and a reason for rejection is short enough for a metric label', () => {
    const input = fc.oneof(
      fc.uint8Array(),
      fc.string().map(utf8),
      values.value.map((value) => utf8(JSON.stringify(value) ?? '')),
    );
    fc.assert(
      fc.property(input, (bytes) => {
        for (const parse of parsers) {
          const parsed = parse(bytes) as { reject?: string } | string | undefined;
          if (typeof parsed === 'object' && 'reject' in parsed)
            expect(parsed.reject).toMatch(/^[a-z_ ]{2,20}$/);
        }
      }),
      inputs(1_000),
    );
  });
});
