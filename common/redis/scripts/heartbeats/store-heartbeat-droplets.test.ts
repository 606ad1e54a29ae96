import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { heartbeatScripts, line } from '../../../testing/redis/heartbeat-scripts.ts';
import { type HeartbeatWrite, storeHeartbeatDroplets } from './store-heartbeat-droplets.ts';
import { storeWholeHeartbeat } from './store-whole-heartbeat.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const LOST = 30_000;
const { begin, touch } = heartbeatScripts(redis, LOST);

describe('store_heartbeat_droplets', () => {
  interface Call {
    at: number;
    fence?: boolean;
    dea?: string;
    before?: number;
    due?: boolean;
    traceparent?: string | undefined;
    /** Also ends the heartbeat. */
    digest?: string;
    /** By droplet, the state of each instance. */
    droplets: Record<string, Record<string, string>>;
  }
  /** The instance of index 0 as a record has it. */
  const encoded = (dea: string, state = 'RUNNING') =>
    `0 ${state} on ${encodeURIComponent(dea)} version v since 1`;
  const store = async ({
    at,
    fence = false,
    dea = 'a',
    before,
    due = false,
    traceparent,
    digest,
    droplets,
  }: Call) => {
    const heartbeat: HeartbeatWrite = {
      dea,
      atMs: at,
      previousHeartbeatMs: before,
      fence,
      markDue: due,
      traceparent,
    };
    const listed = new Map(
      Object.entries(droplets).map(([droplet, states]) => [
        droplet,
        Object.entries(states).map(([instance, state]) => ({
          instance,
          index: 0,
          state,
          version: 'v',
          stateTimestampS: 1,
        })),
      ]),
    );
    if (digest === undefined) return (await storeHeartbeatDroplets(redis(), heartbeat, listed)).changed;
    const stored = await storeWholeHeartbeat(redis(), heartbeat, listed, { digest, running: 1 });
    return stored === 'superseded' ? stored : stored.changed;
  };
  const record = (name: string) => redis().client.hgetall(redis().keys.droplet(name));
  const dueAt = async (name: string) => {
    const score = await redis().client.zscore(redis().keys.due(0), name);
    return score === null ? undefined : Number(score);
  };

  test('keeps the traceparent of the heartbeat that changed the record, and of no other', async () => {
    const write = (
      at: number,
      traceparent: string | undefined,
      instances: Record<string, string>,
      more: Partial<Call> = {},
    ) => store({ at, traceparent, droplets: { traced: instances }, ...more });
    const trace = async () => (await record('traced')).trace;
    await write(1000, undefined, { i: 'RUNNING' });
    expect(await trace()).toBeUndefined();
    await write(2000, 'second', { i: 'STARTING' });
    expect(await trace()).toBe('2000 second');
    await write(3000, 'other', { i: 'STARTING' });
    expect(await trace()).toBe('2000 second');
    await write(4000, 'back', { i: 'STARTING' }, { due: true });
    expect(await trace()).toBe('4000 back');
  });

  test('store_whole_heartbeat also ends the heartbeat', async () => {
    const { client, keys } = redis();
    await begin(1000, 'a', line('x'));
    expect(await store({ at: 1000, digest: 'A', droplets: { x: { i: 'RUNNING' } } })).toBe(1);
    expect(await client.hgetall(keys.deaList('a'))).toEqual({
      at: '1000',
      list: `${line('x')}\n`,
      unwanted: '*',
    });
    expect(await client.hget(keys.deasCount, 'a')).toBe('1');
    expect(await touch(['a', 'A', 1001])).toEqual([]);
  });

  test('store_whole_heartbeat writes nothing when it is repeated, nor once a newer heartbeat has begun', async () => {
    const { client, keys } = redis();
    const state = async () => /^\d+ (\S+)/.exec((await record('x'))['instance:i'] ?? '')?.[1];
    const write = (at: number, digest: string, state: string) =>
      store({ at, digest, droplets: { x: { i: state } } });
    await begin(1000, 'a', line('x', 'e'));
    await write(1000, 'A', 'STARTING');
    await begin(2000, 'a', line('x', 'f'));
    await write(2000, 'B', 'RUNNING');
    expect(await write(1000, 'A', 'STARTING')).toBe('superseded'); // its answer was lost
    expect(await write(2000, 'B', 'RUNNING')).toBe('superseded');
    expect(await state()).toBe('RUNNING');
    await begin(3000, 'a', line('x', 'g'));
    await begin(4000, 'a', line('x', 'h'));
    expect(await write(3000, 'C', 'CRASHED')).toBe('superseded');
    expect(await state()).toBe('RUNNING');
    expect(await client.hget(keys.deaList('a'), 'list')).toBe(`${line('x', 'f')}\n`);
    expect(await client.hget(keys.deasDigest, 'a')).toBeNull();
  });

  test('a new droplet gets a record, its place in the index, and is due', async () => {
    expect(await store({ at: 1000, droplets: { x: { i: 'RUNNING' } } })).toBe(1);
    expect(await record('x')).toEqual({ seen: '1000', rev: '1', 'instance:i': `${encoded('a')} first 1000` });
    expect(await redis().client.hgetall(redis().keys.indexOf('x'))).toEqual({ x: '' });
    expect(await dueAt('x')).toBe(1000);
  });

  test('a change of an instance is stored, and the time when it was first listed stays', async () => {
    await store({ at: 1000, droplets: { x: { i: 'STARTING' } } });
    expect(await store({ at: 2000, droplets: { x: { i: 'RUNNING' } } })).toBe(1);
    expect(await record('x')).toMatchObject({ rev: '2', 'instance:i': `${encoded('a')} first 1000` });
    expect(await dueAt('x')).toBe(2000);
  });

  test('an unchanged droplet gets no revision and is not due', async () => {
    const { client, keys } = redis();
    await store({ at: 1000, droplets: { x: { i: 'RUNNING' }, y: { j: 'RUNNING' } } });
    await client.del(keys.due(0));
    expect(await store({ at: 2000, droplets: { x: { i: 'RUNNING' }, y: {} }, before: 1000 })).toBe(1);
    expect(await record('x')).toMatchObject({ rev: '1' });
    expect(await dueAt('x')).toBeUndefined();
    expect(await dueAt('y')).toBe(2000);
  });

  test('a repetition changes nothing', async () => {
    const call = { at: 2000, before: 1000, droplets: { x: { i: 'RUNNING' }, y: {} } } as const;
    await store({ at: 1000, droplets: { x: {}, y: { j: 'RUNNING' } } });
    await store(call);
    const once = [await record('x'), await record('y')];
    expect(await store(call)).toBe(0);
    expect([await record('x'), await record('y')]).toEqual(once);
  });

  test('an instance that is no longer listed was last listed by the heartbeat before', async () => {
    await store({ at: 1000, droplets: { x: { i: 'RUNNING' } } });
    await store({ at: 3000, before: 2000, droplets: { x: {} } });
    const gone = { rev: '2', 'instance:i': `${encoded('a')} first 1000 last 2000` };
    expect(await record('x')).toMatchObject(gone);
    expect(await store({ at: 4000, before: 3000, droplets: { x: {} } })).toBe(0);
    expect(await record('x')).toMatchObject(gone);
  });

  test('without a known heartbeat before, this one is the last that listed it', async () => {
    await store({ at: 1000, droplets: { x: { i: 'RUNNING' } } });
    await store({ at: 3000, droplets: { x: {} } });
    expect((await record('x'))['instance:i']).toBe(`${encoded('a')} first 1000 last 3000`);
  });

  test('an instance that is listed again loses its end', async () => {
    await store({ at: 1000, droplets: { x: { i: 'RUNNING' } } });
    await store({ at: 2000, before: 1000, droplets: { x: {} } });
    expect(await store({ at: 3000, before: 2000, droplets: { x: { i: 'RUNNING' } } })).toBe(1);
    expect(await record('x')).toMatchObject({ rev: '3', 'instance:i': `${encoded('a')} first 1000` });
  });

  test('instances of other DEAs stay as they are', async () => {
    await store({ at: 1000, dea: 'a', droplets: { x: { i: 'RUNNING' } } });
    await store({ at: 1001, dea: 'b', droplets: { x: { j: 'RUNNING' } } });
    await store({ at: 2000, dea: 'a', before: 1000, droplets: { x: {} } });
    expect(await record('x')).toMatchObject({
      'instance:i': `${encoded('a')} first 1000 last 1000`,
      'instance:j': `${encoded('b')} first 1001`,
    });
  });

  test.each(['last', 'first', 'version', 'on', 'a.b', '%', 'a b', '100%d', '__proto__', 'ünï'])(
    'a DEA may be named %j',
    async (dea) => {
      const mine = encoded(dea);
      await store({ at: 1000, dea, droplets: { x: { i: 'RUNNING', j: 'RUNNING' } } });
      await store({ at: 2000, dea, before: 1000, droplets: { x: { j: 'RUNNING' } } });
      expect(await record('x')).toMatchObject({
        'instance:i': `${mine} first 1000 last 1000`,
        'instance:j': `${mine} first 1000`,
      });
    },
  );

  test('droplets and instances may have any name', async () => {
    await store({ at: 1000, droplets: { 'ünï {0} %d': { __proto__x: 'RUNNING', 'a b': 'RUNNING' } } });
    expect(Object.keys(await record('ünï {0} %d')).sort()).toEqual(
      ['seen', 'rev', 'instance:__proto__x', 'instance:a b'].sort(),
    );
  });

  describe('fence', () => {
    test('an older heartbeat behind it changes nothing', async () => {
      await store({ at: 1000, droplets: { x: { i: 'RUNNING' } } });
      await store({ at: 3000, fence: true, before: 1000, droplets: { x: { i: 'RUNNING' } } });
      const fenced = await record('x');
      expect(fenced['fence:a']).toBe('3000');
      expect(await store({ at: 2000, before: 1000, droplets: { x: { j: 'RUNNING' } } })).toBe(0);
      expect(await store({ at: 2000, fence: true, before: 1000, droplets: { x: {} } })).toBe(0);
      expect(await record('x')).toEqual(fenced);
    });

    test('the same heartbeat, newer ones and those of other DEAs pass', async () => {
      await store({ at: 3000, fence: true, droplets: { x: { i: 'RUNNING' } } });
      expect(await store({ at: 3000, droplets: { x: { i: 'CRASHED' } } })).toBe(1);
      expect(await store({ at: 3001, droplets: { x: { i: 'RUNNING' } } })).toBe(1);
      expect(await store({ at: 1, dea: 'b', droplets: { x: { j: 'RUNNING' } } })).toBe(1);
    });

    test('a fence on an unknown droplet creates a whole record and keeps an older heartbeat out', async () => {
      await store({ at: 3000, fence: true, droplets: { x: {} } });
      expect(await record('x')).toEqual({ seen: '3000', rev: '1', 'fence:a': '3000' });
      expect(await redis().client.hkeys(redis().keys.indexOf('x'))).toEqual(['x']);
      expect(await dueAt('x')).toBe(3000);
      expect(await store({ at: 2000, droplets: { x: { i: 'RUNNING' } } })).toBe(0);
    });
  });

  test('a DEA that is back makes its droplets due and gives them a new revision', async () => {
    const { client, keys } = redis();
    await store({ at: 1000, droplets: { x: { i: 'RUNNING' } } });
    await client.del(keys.due(0));
    await store({ at: 90_000, before: 1000, due: true, droplets: { x: { i: 'RUNNING' }, unknown: {} } });
    expect(await dueAt('x')).toBe(90_000);
    expect(await record('x')).toMatchObject({ rev: '2', 'instance:i': `${encoded('a')} first 1000` });
    expect(await record('unknown')).toEqual({});
    expect(await dueAt('unknown')).toBeUndefined();
  });
});
