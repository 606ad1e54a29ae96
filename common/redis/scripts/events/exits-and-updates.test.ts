import { describe, expect, test } from 'vitest';
import type { ExitReason } from '../../../model/reasons.ts';
import { useRedis } from '../../../testing/context.ts';
import { redisRecords } from '../../../testing/redis/records.ts';
import { type ReceivedExit, storeExit } from './store-exit.ts';
import { storeExitWithEvent } from './store-exit-with-event.ts';
import { storeUpdate } from './store-update.ts';

const of = useRedis({ settings: { slices: 1 } });
const redis = () => of.context.redis;
const { record, put, dueAt, isIndexed } = redisRecords(redis);

describe('store_exit', () => {
  /** How long an exit stands (ms). */
  const STANDS = 60_000;
  const received = (reason: ExitReason, atMs: number, instance = 'i', version = 'v'): ReceivedExit => ({
    droplet: 'x',
    exit: { instance, index: 0, version, reason, atMs },
    nowMs: atMs,
    standsMs: STANDS,
  });
  const store = (...exit: Parameters<typeof received>) => storeExit(redis(), received(...exit));

  test('an unknown droplet gets a record', async () => {
    expect(await store('CRASHED', 1000)).toBe('stored');
    expect(await record()).toEqual({
      seen: '1000',
      exits: '1',
      rev: '1',
      'exit:i': '0 CRASHED version v at 1000 crashed - n 1',
    });
    expect(await isIndexed()).toBe(true);
    expect(await dueAt()).toBe(1000);
  });

  test('a record that is lost, which its index entry shows, is marked as begun anew', async () => {
    await store('CRASHED', 1);
    await redis().client.del(redis().keys.droplet('x'));
    await store('CRASHED', 1000);
    expect(await record()).toMatchObject({ seen: '1000', rebuilt: '1000' });
    await store('CRASHED', 2000, 'j');
    expect(await record()).toMatchObject({ seen: '1000', rebuilt: '1000' });
    await redis().client.del(redis().keys.droplet('x'));
    await storeUpdate(redis(), { droplet: 'x', nowMs: 3000 });
    expect(await record()).toMatchObject({ seen: '3000', rebuilt: '3000' });
  });

  test('exits are numbered, and the other fields of a known droplet stay', async () => {
    await put({ rev: 5, seen: 1, handled: 3, exits: 3, 'instance:i': 'encoded' });
    expect(await store('CRASHED', 1000, 'i')).toBe('stored');
    expect(await store('STOPPED', 1001, 'j')).toBe('stored');
    expect(await record()).toMatchObject({
      seen: '1',
      rev: '7',
      exits: '5',
      handled: '3',
      'exit:i': '0 CRASHED version v at 1000 crashed - n 4',
      'exit:j': '0 STOPPED version v at 1001 crashed - n 5',
      'instance:i': 'encoded',
    });
  });

  test.each<[stored: ExitReason, received: ExitReason, then: ExitReason]>([
    ['CRASHED', 'CRASHED', 'CRASHED'],
    ['CRASHED', 'STOPPED', 'CRASHED'],
    ['CRASHED', 'DEA_EVACUATION', 'CRASHED'],
    ['STOPPED', 'CRASHED', 'STOPPED'],
    ['STOPPED', 'DEA_SHUTDOWN', 'STOPPED'],
    ['DEA_SHUTDOWN', 'DEA_EVACUATION', 'DEA_SHUTDOWN'],
    ['DEA_EVACUATION', 'DEA_EVACUATION', 'DEA_EVACUATION'],
    ['DEA_EVACUATION', 'CRASHED', 'CRASHED'],
    ['DEA_EVACUATION', 'STOPPED', 'STOPPED'],
    ['DEA_EVACUATION', 'DEA_SHUTDOWN', 'DEA_SHUTDOWN'],
  ])('%s, then %s of one instance: %s is stored', async (first, second, then) => {
    await store(first, 1000);
    const replaced = then !== first;
    expect(await store(second, 2000)).toBe(replaced ? 'stored' : 'known');
    expect((await record())['exit:i']).toContain(`0 ${then} version v at ${replaced ? 2000 : 1000}`);
    expect(await record()).toMatchObject({ exits: replaced ? '2' : '1', rev: replaced ? '2' : '1' });
    expect(await dueAt()).toBe(replaced ? 2000 : 1000);
  });

  test.each<ExitReason>(['CRASHED', 'STOPPED', 'DEA_SHUTDOWN', 'DEA_EVACUATION'])(
    '%s of an instance whose first exit no longer stands is stored: the instance was resumed',
    async (reason) => {
      await store('DEA_SHUTDOWN', 1000);
      expect(await store(reason, 1000 + STANDS)).toBe('known');
      expect(await store(reason, 1001 + STANDS)).toBe('stored');
      expect(await record()).toMatchObject({
        exits: '2',
        'exit:i': `0 ${reason} version v at ${1001 + STANDS} crashed - n 2`,
      });
      expect(await store(reason, 1001 + STANDS)).toBe('known');
    },
  );

  test('a version named like an evacuation is no evacuation', async () => {
    await store('CRASHED', 1, 'i', 'DEA_EVACUATION');
    expect(await store('STOPPED', 2)).toBe('known');
  });

  test('store_exit_with_event appends an event, unless the exit is known', async () => {
    const { client, keys } = redis();
    const event = { event: ['kind', 'exit', 'droplet', 'x'], streamLength: 100 };
    expect(await storeExitWithEvent(redis(), received('CRASHED', 1000), event)).toBe('stored');
    expect(await storeExitWithEvent(redis(), received('CRASHED', 2000), event)).toBe('known');
    const entries = await client.xrange(keys.events(0), '-', '+');
    expect(entries.map(([, fields]) => fields)).toEqual([event.event]);
  });
});

describe('store_update', () => {
  const store = (nowMs: number) => storeUpdate(redis(), { droplet: 'x', nowMs });

  test('an unknown droplet gets a record', async () => {
    await store(1000);
    expect(await record()).toEqual({ seen: '1000', updated: '1000', rev: '1' });
    expect(await isIndexed()).toBe(true);
    expect(await dueAt()).toBe(1000);
  });

  test('the latest time stays, and a repetition changes nothing', async () => {
    await put({ rev: 5, seen: 1 });
    await store(2000);
    await store(2000);
    await store(1000);
    expect(await record()).toEqual({ seen: '1', updated: '2000', rev: '6' });
    await store(3000);
    expect(await record()).toEqual({ seen: '1', updated: '3000', rev: '7' });
  });
});
