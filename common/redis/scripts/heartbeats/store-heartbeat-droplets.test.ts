import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../testing/context.ts';
import { heartbeatScripts, line } from '../../../testing/heartbeat-scripts.ts';

const of = useRedis();
const redis = () => of.context.redis;
const LOST = 30_000;
const { begin, deasLastHeartbeat } = heartbeatScripts(redis, LOST);

describe('store_heartbeat_droplets', () => {
  interface Call {
    at: number;
    fence?: boolean;
    dea?: string;
    before?: number | '';
    due?: boolean;
    traceparent?: string;
    /** Ends the heartbeat, too. */
    digest?: string;
    droplets: Record<string, Record<string, string>>;
  }
  const words = (dea: string, state = 'RUNNING') => `0 ${state} on ${dea} version v since 1`;
  const heardCall = ({
    at,
    fence,
    dea = 'a',
    before = '',
    due,
    traceparent = '',
    digest = '',
    droplets,
  }: Call) => {
    const { keys, scripts } = redis();
    const names = Object.keys(droplets);
    return scripts.storeHeartbeatDroplets(
      [
        ...(digest === '' ? [] : [keys.deasDigest, keys.deaList(dea), keys.deasCount, keys.failover]),
        ...names.flatMap((name) => [`hm:{0}:droplet:${name}`, keys.index(0, 0), keys.due(0)]),
      ],
      [
        at,
        fence ? '1' : '',
        ` on ${encodeURIComponent(dea)} `,
        dea,
        before,
        due ? '1' : '',
        traceparent,
        digest,
        digest === '' ? '' : 1,
        ...names.flatMap((name) => {
          const instances = Object.entries(droplets[name] ?? {});
          return [name, instances.length, ...instances.flat()];
        }),
      ],
    );
  };
  const record = (name: string) => redis().client.hgetall(`hm:{0}:droplet:${name}`);
  const dueAt = async (name: string) => {
    const score = await redis().client.zscore(redis().keys.due(0), name);
    return score === null ? undefined : Number(score);
  };

  test('keeps the traceparent of the heartbeat that changed the record, and of no other', async () => {
    const heard = (
      at: number,
      traceparent: string,
      instances: Record<string, string>,
      more: Partial<Call> = {},
    ) => heardCall({ at, traceparent, droplets: { traced: instances }, ...more });
    const trace = async () => (await record('traced')).trace;
    await heard(1000, '', { i: words('a') });
    expect(await trace()).toBeUndefined();
    await heard(2000, 'told', { i: words('a', 'STARTING') });
    expect(await trace()).toBe('2000 told');
    await heard(3000, 'other', { i: words('a', 'STARTING') });
    expect(await trace()).toBe('2000 told');
    await heard(4000, 'back', { i: words('a', 'STARTING') }, { due: true });
    expect(await trace()).toBe('4000 back');
  });

  test('with a digest it ends the heartbeat, unless a newer one has begun', async () => {
    const { client, keys } = redis();
    await begin(1000, 'a', line('x'));
    expect(await heardCall({ at: 1000, digest: 'A', droplets: { x: { i: words('a') } } })).toBe(1);
    expect(await client.hgetall(keys.deaList('a'))).toEqual({ at: '1000', list: `${line('x')}\n` });
    expect(await client.hget(keys.deasCount, 'a')).toBe('1');
    expect(await deasLastHeartbeat(['a', 'A', 1001])).toEqual([]);
  });

  test('that ends the heartbeat writes nothing once a newer one has begun, nor when it is said again', async () => {
    const { client, keys } = redis();
    const state = async () => /^\d+ (\S+)/.exec((await record('x'))['instance:i'] ?? '')?.[1];
    const heard = (at: number, digest: string, state: string) =>
      heardCall({ at, digest, droplets: { x: { i: words('a', state) } } });
    await begin(1000, 'a', line('x', 'e'));
    await heard(1000, 'A', 'STARTING');
    await begin(2000, 'a', line('x', 'f'));
    await heard(2000, 'B', 'RUNNING');
    expect(await heard(1000, 'A', 'STARTING')).toBe(0); // its answer was lost
    expect(await heard(2000, 'B', 'RUNNING')).toBe(0);
    expect(await state()).toBe('RUNNING');
    await begin(3000, 'a', line('x', 'g'));
    await begin(4000, 'a', line('x', 'h'));
    expect(await heard(3000, 'C', 'CRASHED')).toBe(0);
    expect(await state()).toBe('RUNNING');
    expect(await client.hget(keys.deaList('a'), 'list')).toBe(`${line('x', 'f')}\n`);
    expect(await client.hget(keys.deasDigest, 'a')).toBeNull();
  });

  test('a new droplet gets a record, its place in the index, and is due', async () => {
    expect(await heardCall({ at: 1000, droplets: { x: { i: words('a') } } })).toBe(1);
    expect(await record('x')).toEqual({ seen: '1000', rev: '1', 'instance:i': `${words('a')} first 1000` });
    expect(await redis().client.hgetall(redis().keys.index(0, 0))).toEqual({ x: '' });
    expect(await dueAt('x')).toBe(1000);
  });

  test('what is new of an instance is stored, when it was first heard stays', async () => {
    await heardCall({ at: 1000, droplets: { x: { i: words('a', 'STARTING') } } });
    expect(await heardCall({ at: 2000, droplets: { x: { i: words('a') } } })).toBe(1);
    expect(await record('x')).toMatchObject({ rev: '2', 'instance:i': `${words('a')} first 1000` });
    expect(await dueAt('x')).toBe(2000);
  });

  test('what is as it was costs no revision, and nobody has to look', async () => {
    const { client, keys } = redis();
    await heardCall({ at: 1000, droplets: { x: { i: words('a') }, y: { j: words('a') } } });
    await client.del(keys.due(0));
    expect(await heardCall({ at: 2000, droplets: { x: { i: words('a') }, y: {} }, before: 1000 })).toBe(1);
    expect(await record('x')).toMatchObject({ rev: '1' });
    expect(await dueAt('x')).toBeUndefined();
    expect(await dueAt('y')).toBe(2000);
  });

  test('can be repeated', async () => {
    const call = { at: 2000, before: 1000, droplets: { x: { i: words('a') }, y: {} } } as const;
    await heardCall({ at: 1000, droplets: { x: {}, y: { j: words('a') } } });
    await heardCall(call);
    const once = [await record('x'), await record('y')];
    expect(await heardCall(call)).toBe(0);
    expect([await record('x'), await record('y')]).toEqual(once);
  });

  test('an instance that is no longer listed was last listed by the heartbeat before', async () => {
    await heardCall({ at: 1000, droplets: { x: { i: words('a') } } });
    await heardCall({ at: 3000, before: 2000, droplets: { x: {} } });
    const gone = { rev: '2', 'instance:i': `${words('a')} first 1000 last 2000` };
    expect(await record('x')).toMatchObject(gone);
    expect(await heardCall({ at: 4000, before: 3000, droplets: { x: {} } })).toBe(0);
    expect(await record('x')).toMatchObject(gone);
  });

  test('when no heartbeat before is known it is this one', async () => {
    await heardCall({ at: 1000, droplets: { x: { i: words('a') } } });
    await heardCall({ at: 3000, droplets: { x: {} } });
    expect((await record('x'))['instance:i']).toBe(`${words('a')} first 1000 last 3000`);
  });

  test('an instance that is listed again was never gone', async () => {
    await heardCall({ at: 1000, droplets: { x: { i: words('a') } } });
    await heardCall({ at: 2000, before: 1000, droplets: { x: {} } });
    expect(await heardCall({ at: 3000, before: 2000, droplets: { x: { i: words('a') } } })).toBe(1);
    expect(await record('x')).toMatchObject({ rev: '3', 'instance:i': `${words('a')} first 1000` });
  });

  test('instances of other DEAs stay as they are', async () => {
    await heardCall({ at: 1000, dea: 'a', droplets: { x: { i: words('a') } } });
    await heardCall({ at: 1001, dea: 'b', droplets: { x: { j: words('b') } } });
    await heardCall({ at: 2000, dea: 'a', before: 1000, droplets: { x: {} } });
    expect(await record('x')).toMatchObject({
      'instance:i': `${words('a')} first 1000 last 1000`,
      'instance:j': `${words('b')} first 1001`,
    });
  });

  test.each(['last', 'first', 'version', 'on', 'a.b', '%', 'a b', '100%d', '__proto__', 'ünï'])(
    'a DEA may be called %j',
    async (dea) => {
      const mine = words(encodeURIComponent(dea));
      await heardCall({ at: 1000, dea, droplets: { x: { i: mine, j: mine } } });
      await heardCall({ at: 2000, dea, before: 1000, droplets: { x: { j: mine } } });
      expect(await record('x')).toMatchObject({
        'instance:i': `${mine} first 1000 last 1000`,
        'instance:j': `${mine} first 1000`,
      });
    },
  );

  test('droplets and instances may be called anything', async () => {
    await heardCall({ at: 1000, droplets: { 'ünï {0} %d': { __proto__x: words('a'), 'a b': words('a') } } });
    expect(Object.keys(await record('ünï {0} %d')).sort()).toEqual(
      ['seen', 'rev', 'instance:__proto__x', 'instance:a b'].sort(),
    );
  });

  describe('fence', () => {
    test('an older heartbeat behind it changes nothing', async () => {
      await heardCall({ at: 1000, droplets: { x: { i: words('a') } } });
      await heardCall({ at: 3000, fence: true, before: 1000, droplets: { x: { i: words('a') } } });
      const fenced = await record('x');
      expect(fenced['fence:a']).toBe('3000');
      expect(await heardCall({ at: 2000, before: 1000, droplets: { x: { j: words('a') } } })).toBe(0);
      expect(await heardCall({ at: 2000, fence: true, before: 1000, droplets: { x: {} } })).toBe(0);
      expect(await record('x')).toEqual(fenced);
    });

    test('the same one and newer ones pass, those of other DEAs too', async () => {
      await heardCall({ at: 3000, fence: true, droplets: { x: { i: words('a') } } });
      expect(await heardCall({ at: 3000, droplets: { x: { i: words('a', 'CRASHED') } } })).toBe(1);
      expect(await heardCall({ at: 3001, droplets: { x: { i: words('a') } } })).toBe(1);
      expect(await heardCall({ at: 1, dea: 'b', droplets: { x: { j: words('b') } } })).toBe(1);
    });

    test('keeps out one for a droplet that is not known yet, whose record is whole nevertheless', async () => {
      await heardCall({ at: 3000, fence: true, droplets: { x: {} } });
      expect(await record('x')).toEqual({ seen: '3000', rev: '1', 'fence:a': '3000' });
      expect(await redis().client.hkeys(redis().keys.index(0, 0))).toEqual(['x']);
      expect(await dueAt('x')).toBe(3000);
      expect(await heardCall({ at: 2000, droplets: { x: { i: words('a') } } })).toBe(0);
    });
  });

  test('a DEA that is back makes its droplets due; who decided without it has decided on another record', async () => {
    const { client, keys } = redis();
    await heardCall({ at: 1000, droplets: { x: { i: words('a') } } });
    await client.del(keys.due(0));
    await heardCall({ at: 90_000, before: 1000, due: true, droplets: { x: { i: words('a') }, unknown: {} } });
    expect(await dueAt('x')).toBe(90_000);
    expect(await record('x')).toMatchObject({ rev: '2', 'instance:i': `${words('a')} first 1000` });
    expect(await record('unknown')).toEqual({});
    expect(await dueAt('unknown')).toBeUndefined();
  });
});
