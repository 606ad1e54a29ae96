import { beforeEach, describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { storeHeartbeatDroplets } from './store-heartbeat-droplets.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const client = () => redis().client;
const key = () => redis().keys.droplet('x');

const DESIRED = 'STARTED 2x STAGED version v 256M updated 1';
const LISTED = '1 RUNNING on a version v since 1 first 900';
const PLAIN = { rev: '3', seen: '900', desired: DESIRED, 'instance:i': LISTED };
/** A field that no script of heartbeats knows: with it a record is not read in the short way. */
const MORE = { handled: '0' };

interface Case {
  name: string;
  record?: Record<string, string>;
  state?: string;
  index?: number;
  isIndexed?: boolean;
}

/** Verifies the record, and returns what came of it. */
async function verify(
  { record = {}, state = 'RUNNING', index = 1, isIndexed = true }: Case,
  more: Record<string, string>,
) {
  const { keys } = redis();
  await client().del(key(), keys.indexOf('x'), keys.due(0));
  await client().hset(key(), { ...PLAIN, ...record, ...more });
  if (isIndexed) await client().hset(keys.indexOf('x'), 'x', '');
  const instance = { instance: 'i', index, state, version: 'v', stateTimestampS: 1 };
  const stored = await storeHeartbeatDroplets(
    redis(),
    {
      ...{ dea: 'a', atMs: 2000, previousHeartbeatMs: 1000, fence: false, markDue: false, verify: true },
      mustExist: new Set(['x']),
    },
    new Map([['x', [instance]]]),
  );
  const after = await client().hgetall(key());
  for (const field of Object.keys(more)) delete after[field];
  const due = await client().zscore(keys.due(0), 'x');
  return { stored, after, due, isIndexed: (await client().hexists(keys.indexOf('x'), 'x')) === 1 };
}

const cases: Case[] = [
  { name: 'as the heartbeat lists it' },
  { name: 'starting', state: 'STARTING', record: { 'instance:i': LISTED.replace('RUNNING', 'STARTING') } },
  { name: 'crashed', state: 'CRASHED', record: { 'instance:i': LISTED.replace('RUNNING', 'CRASHED') } },
  {
    name: 'evacuating',
    state: 'EVACUATING',
    record: { 'instance:i': LISTED.replace('RUNNING', 'EVACUATING') },
  },
  { name: 'of a stopped app', record: { desired: DESIRED.replace('STARTED', 'STOPPED') } },
  { name: 'of another version', record: { desired: DESIRED.replace('version v', 'version w') } },
  {
    name: 'at an index that is not wanted',
    index: 2,
    record: { 'instance:i': LISTED.replace('1 R', '2 R') },
  },
  { name: 'without an index entry', isIndexed: false },
  { name: 'in another state', record: { 'instance:i': LISTED.replace('RUNNING', 'STARTING') } },
  { name: 'of another DEA', record: { 'instance:i': LISTED.replace('on a', 'on b') } },
  { name: 'last listed earlier', record: { 'instance:i': `${LISTED} last 950` } },
  { name: 'without a readable time', record: { 'instance:i': LISTED.replace('900', 'soon') } },
  { name: 'edited so that it cannot be written', record: { rev: 'x' } },
  { name: 'gone', record: { gone: '950' } },
  { name: 'beside another instance of the DEA', record: { 'instance:j': LISTED } },
  { name: 'beside an exit', record: { 'exit:i': '1 CRASHED version v at 950 crashed - n 1' } },
];

describe('a record that is verified', () => {
  beforeEach(() => client().flushall());

  test.each(cases)('$name: the short way does what the long one does', async (record) => {
    expect(await verify(record, {})).toEqual(await verify(record, MORE));
  });

  test('as it is listed stays, and its holder counts', async () => {
    const { stored, after, due } = await verify({ name: 'plain' }, {});
    expect(stored).toMatchObject({ changed: 0, wholeAgain: [], reindexed: 0, unwanted: [], lost: [] });
    expect([after, due]).toEqual([PLAIN, null]);
  });

  test('whose DEA lists its second instance no more gets the time of the last list', async () => {
    const { after } = await verify({ name: 'second', record: { 'instance:j': LISTED } }, {});
    expect(after['instance:j']).toBe(`${LISTED} last 1000`);
  });
});
