import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import { metricValue } from '../../../common/testing/context.ts';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
beforeAll(async () => {
  world = await cloud();
});
afterAll(() => world.stop());

const entry = (droplet: string, over: Record<string, unknown> = {}) => ({
  cc_partition: 'default',
  droplet,
  version: `${droplet}-v1`,
  instance: `${droplet}!`,
  index: 0,
  state: 'RUNNING',
  state_timestamp: 1_700_000_000,
  ...over,
});

async function rejected(subject: string): Promise<number> {
  const ingest = world.running.find(({ name }) => name === 'ingest');
  return metricValue(ingest!.context.metrics, 'hm_messages_rejected_total', { subject });
}

describe('a message that does not fit changes nothing and is counted', () => {
  test.each([
    [SUBJECTS.heartbeat, 'no JSON {'],
    [SUBJECTS.heartbeat, '[]'],
    [SUBJECTS.heartbeat, '{"droplets":[],"dea":null}'],
    [SUBJECTS.heartbeat, '{"droplets":"none","dea":"dea-1"}'],
    [SUBJECTS.exited, ''],
    [SUBJECTS.exited, '{"droplet":"sound","version":"sound-v1","instance":"i","index":0,"reason":"BORED"}'],
    [
      SUBJECTS.exited,
      '{"droplet":"sound","version":"sound-v1","instance":"i","index":-1,"reason":"CRASHED"}',
    ],
    [
      SUBJECTS.exited,
      '{"droplet":"sound","version":"sound-v1","instance":"i","index":0.5,"reason":"CRASHED"}',
    ],
    [SUBJECTS.exited, '{"droplet":"sound","version":"sound-v1","instance":"","index":0,"reason":"CRASHED"}'],
    [SUBJECTS.updated, '{"droplet":{}}'],
    [SUBJECTS.updated, 'null'],
    [SUBJECTS.shutdown, '{"id":7}'],
  ])('%s %s', async (subject, text) => {
    if (world.dea('dea-1').of('sound').length === 0) await healthyApp(world, 'sound', 1);
    const before = await rejected(subject);
    const record = await world.store.client.hgetall(world.store.keys.droplet('sound'));
    world.publish(subject, text);
    await world.settle();
    expect(await rejected(subject)).toBe(before + 1);
    expect(await world.store.client.hgetall(world.store.keys.droplet('sound'))).toEqual(record);
    expect(world.takeAsked()).toEqual([]);
  });

  test('and is said at most once a second for each reason', async () => {
    // One that no test before has just made it say.
    const said = () => world.logged('message_rejected').filter(({ reason }) => reason === 'json').length;
    const before = said();
    for (let n = 0; n < 50; n++) world.publish(SUBJECTS.updated, '{');
    await world.settle();
    expect(said() - before).toBeGreaterThan(0);
    expect(said() - before).toBeLessThanOrEqual(2);
  });
});

describe('a heartbeat with bad entries', () => {
  test('brings its good ones', async () => {
    await world.desire('good', {});
    const droplets = [
      entry('bad', { index: 'x' }),
      null,
      entry('bad', { state: 1 }),
      entry('good'),
      entry('bad', { version: null }),
    ];
    for (let n = 0; n < 5; n++) {
      world.publish(SUBJECTS.heartbeat, { droplets, dea: 'odd' });
      await world.advance(10);
    }
    expect(world.takeAsked('good')).toEqual([]);
    await world.advance(31);
    expect(world.takeAsked('good')).toEqual(['start good/0 (missing)']);
    await world.desire('good', { state: 'STOPPED' });
  });

  test('and entries of another partition are not ours', async () => {
    await world.desire('shared', { instances: 2 });
    const droplets = [
      entry('shared', { cc_partition: 'theirs' }),
      entry('shared', { cc_partition: undefined, index: 1 }),
    ];
    await world.advance(1);
    for (let n = 0; n < 4; n++) {
      world.publish(SUBJECTS.heartbeat, { droplets, dea: 'mixed' });
      await world.advance(10);
    }
    expect(world.takeAsked('shared')).toEqual(['start shared/0 (missing)']);
    world.publish(SUBJECTS.exited, {
      ...entry('shared', { index: 1 }),
      cc_partition: 'theirs',
      reason: 'CRASHED',
    });
    world.publish(SUBJECTS.updated, { droplet: 'shared', cc_partition: 'theirs' });
    await world.settle();
    expect(world.takeAsked('shared')).toEqual([]);
    await world.desire('shared', { state: 'STOPPED' });
    world.takeSent();
    world.takeFaults(); // of the hosts that were made up here the referee knows nothing
  });
});

describe('odd ids are ids', () => {
  test.each(['__proto__', 'constructor', 'a b:c{d}/é', '0', 'x'.repeat(256)])('%s', async (id) => {
    await world.desire(id, { version: '__proto__' });
    const guid = world.dea('dea-1').run(id, 0, '__proto__');
    await world.beat();
    await end(world, guid, 'CRASHED');
    expect(world.takeSent(id)).toMatchObject([{ droplet: id, reason: 'crashed' }]);
    const again = world.dea('dea-1').run(id, 0, '__proto__');
    await world.beat();
    await world.desire(id, { state: 'STOPPED' });
    const [stop] = world.takeSent(id);
    expect(stop?.text).toContain(`"instances":{"${again}":"__proto__"}`);
    await end(world, again, 'STOPPED');
  });

  test('a number is the same as its digits', async () => {
    await world.desire('4711', {});
    world.publish(SUBJECTS.heartbeat, { droplets: [entry('4711', { droplet: 4711 })], dea: 'old' });
    await world.settle();
    world.publish(SUBJECTS.exited, { ...entry('4711', { droplet: 4711 }), reason: 'CRASHED' });
    await world.settle();
    expect(world.takeAsked()).toEqual(['start 4711/0 (crashed)']);
  });
});
