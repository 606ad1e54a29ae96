import { describe, expect, it } from 'vitest';
import { type Exited, parseExited } from './incoming.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const json = (value: unknown) => utf8(JSON.stringify(value));

describe('an exit', () => {
  const RAW_EXIT = {
    cc_partition: 'default',
    droplet: 'd-1',
    version: 'v-1',
    instance: 'i-1',
    index: 2,
    reason: 'CRASHED',
    exit_status: null,
    exit_description: 'out of memory',
    crash_timestamp: 1_398_000_000,
  };
  const EXIT: Exited = {
    droplet: 'd-1',
    version: 'v-1',
    instance: 'i-1',
    index: 2,
    reason: 'CRASHED',
    description: 'out of memory',
  };
  const parse = (changes: object) => parseExited(json({ ...RAW_EXIT, ...changes }), 'default');

  it.each<[string, object, object]>([
    ['a crash', {}, { crashTimestampS: 1_398_000_000 }],
    ['a crash without a time', { crash_timestamp: undefined }, {}],
    ['a crash with the time null', { crash_timestamp: null }, {}],
    ['a stop', { reason: 'STOPPED' }, { reason: 'STOPPED' }],
    ['a shutdown', { reason: 'DEA_SHUTDOWN', exit_status: -1 }, { reason: 'DEA_SHUTDOWN', status: -1 }],
    ['an evacuation', { reason: 'DEA_EVACUATION' }, { reason: 'DEA_EVACUATION' }],
    ['of an integer droplet', { droplet: 5 }, { droplet: '5', crashTimestampS: 1_398_000_000 }],
    ['without a partition', { cc_partition: undefined }, { crashTimestampS: 1_398_000_000 }],
  ])('is accepted: %s', (_, changes, expected) => {
    expect(parse(changes)).toEqual({ ok: { ...EXIT, ...expected } });
  });

  it.each<[string, unknown, unknown, object]>([
    ['both', 137, 'out of memory', { status: 137, description: 'out of memory' }],
    ['neither', undefined, undefined, {}],
    ['null', null, null, {}],
    ['an empty description', 0, '', { status: 0 }],
    ['other types, which are only left out', '137', { text: 'x' }, {}],
    ['a status that is no integer', 1.5, 'x', { description: 'x' }],
    ['line breaks and control characters', 1, 'a\n\tb\u001b[31m ', { status: 1, description: 'a b [31m' }],
    ['half a surrogate pair', 1, '\ud800x', { status: 1, description: '\ufffdx' }],
    ['a long description, which is cut', 1, 'ö'.repeat(5000), { status: 1, description: 'ö'.repeat(200) }],
  ])('exit_status and exit_description: %s', (_, exit_status, exit_description, expected) => {
    const { description, ...exit } = EXIT;
    expect(parse({ exit_status, exit_description, crash_timestamp: null })).toEqual({
      ok: { ...exit, ...expected },
    });
  });

  it('of another partition is neither accepted nor rejected', () => {
    expect(parse({ cc_partition: 'other', index: -1 })).toEqual({ foreign: true });
  });

  it.each<[string, unknown]>([
    ['droplet', ''],
    ['version', undefined],
    ['instance', 5],
    ['index', 65_536],
    ['reason', 'BORED'],
    ['reason', undefined],
    ['crash_timestamp', 'now'],
    ['cc_partition', {}],
  ])('is rejected with the %s %j', (field, value) => {
    expect(parse({ [field]: value })).toEqual({ reject: field });
  });
});
