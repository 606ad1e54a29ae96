import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Deployment } from './deployment.ts';
import { cloud, end, healthyApp } from './fixtures.ts';

let world: Deployment;
/** As configured by default, but for the noise, so that times are exact, and the bulk syncs. */
beforeAll(async () => {
  world = await cloud({ policy: { delayTimeNoiseMs: 0 }, settings: { syncPeriodMs: 25_000 } });
});
afterAll(() => world.stop());

/** A new instance of the index comes up and crashes. @returns when (s) */
async function crash(droplet: string, index = 0): Promise<number> {
  const guid = world.dea('dea-1').run(droplet, index);
  await world.beat();
  const crashedMs = world.clock.nowMs();
  await end(world, guid, 'CRASHED');
  return (crashedMs - world.startedMs) / 1000;
}

const restarts = () => world.rest.queue('restarts').getDelayedCount();

describe('an app that crashes again and again', () => {
  test('is restarted at once, after 60 s, after 120 s, after 240 s, and then given up', async () => {
    await world.desire('doomed', {});
    await crash('doomed');
    expect(world.takeSent('doomed')).toMatchObject([{ reason: 'crashed', message: { flapping: false } }]);
    for (const delay of [60, 120, 240]) {
      const at = await crash('doomed');
      expect(world.takeAsked('doomed')).toEqual([]);
      await world.advance(delay - 1);
      expect(world.takeAsked('doomed')).toEqual([]); // neither flapping nor missing: it is pending
      await world.advance(2);
      const sent = world.takeSent('doomed');
      expect(sent).toMatchObject([
        { reason: 'flapping', index: 0, message: { flapping: true, running: {} } },
      ]);
      expect((sent[0]?.at as number) - at).toBeGreaterThanOrEqual(delay);
    }
    const at = await crash('doomed');
    expect(await world.decisions('doomed')).toContainEqual(
      expect.objectContaining({ kind: 'giveup', crashes: 5 }),
    );
    world.dea('dea-1').end(world.dea('dea-1').run('doomed', 0), 'DEA_SHUTDOWN');
    await world.advance(499 - (world.clock.nowMs() - world.startedMs) / 1000 + at);
    expect(world.takeAsked('doomed')).toEqual([]); // no start of any reason
    await world.advance(3);
    expect(world.takeAsked('doomed')).toEqual(['start doomed/0 (missing)']);
  });

  test('is not given up for ever: an update, or a new version, begins anew', async () => {
    await world.desire('forgiven', {});
    for (let n = 0; n < 5; n++) await crash('forgiven');
    world.takeSent('forgiven');
    await world.advance(35);
    expect(world.takeAsked('forgiven')).toEqual([]);
    await world.updated('forgiven');
    await world.advance(31);
    expect(world.takeAsked('forgiven')).toEqual(['start forgiven/0 (missing)']);
    await crash('forgiven');
    expect(world.takeAsked('forgiven')).toEqual(['start forgiven/0 (crashed)']); // the first of a new count
    for (let n = 0; n < 5; n++) await crash('forgiven');
    world.takeSent('forgiven');
    await world.desire('forgiven', { version: 'v2' }, { quietly: true });
    await world.advance(65);
    expect(world.takeAsked('forgiven')).toContain('start forgiven/0 (missing)');
  });

  test('counts each instance once, however often its exit is told', async () => {
    const [first] = await healthyApp(world, 'told', 1);
    const told = { droplet: 'told', version: 'told-v1', guid: first as string, index: 0 };
    await end(world, first, 'CRASHED');
    for (let n = 0; n < 5; n++) world.dea('dea-1').sayExited(told, 'CRASHED');
    await world.settle();
    expect(world.takeAsked('told')).toEqual(['start told/0 (crashed)']);
    expect(await restarts()).toBe(0);
  });

  test('counts each index for itself', async () => {
    await world.desire('indices', { instances: 2 });
    world.takeSent('indices');
    await crash('indices', 0);
    await crash('indices', 1);
    expect(world.takeAsked('indices')).toEqual(['start indices/0 (crashed)', 'start indices/1 (crashed)']);
  });

  test('counts on though an instance ran for a while, and from one again after flapping_timeout', async () => {
    await world.desire('rare', {});
    await crash('rare');
    world.dea('dea-2').run('rare', 0);
    await world.advance(60);
    world.takeSent('rare');
    await end(world, world.dea('dea-2').of('rare')[0], 'CRASHED');
    expect(world.takeAsked('rare')).toEqual([]);
    expect(await restarts()).toBe(1);
    const guid = world.dea('dea-2').run('rare', 0);
    await world.beat();
    expect(await restarts()).toBe(0); // it came up by itself: nothing is pending any more
    const later = Math.floor(world.clock.nowMs() / 1000) + 501;
    world.dea('dea-2').end(guid, 'CRASHED', { crashTimestampS: later });
    await world.settle();
    expect(world.takeAsked('rare')).toEqual(['start rare/0 (crashed)']);
  });
});

describe('a pending restart', () => {
  /** Crashed twice just now: a restart is due in 60 s. */
  async function pending(droplet: string): Promise<void> {
    await world.desire(droplet, { instances: 2 });
    world.dea('dea-2').run(droplet, 0);
    await crash(droplet, 1);
    await crash(droplet, 1);
    expect(world.takeAsked(droplet)).toEqual([`start ${droplet}/1 (crashed)`]);
    expect(await restarts()).toBe(1);
  }

  test('is a delayed job, due when the delay is over', async () => {
    await pending('delayed');
    const [job] = await world.rest.queue('restarts').getDelayed();
    expect(job?.delay).toBe(60_000);
    expect(job?.data).toMatchObject({ droplet: 'delayed', index: 1, reason: 'flapping' });
    await world.desire('delayed', { state: 'STOPPED' });
  });

  test.each([
    ['scaled down', { instances: 1 }],
    ['stopped', { state: 'STOPPED' }],
    ['pushed', { version: 'v2' }],
  ])('is dropped when the app is %s, even if nobody says that it was updated', async (how, app) => {
    await pending(how);
    await world.desire(how, app, { quietly: true });
    await world.advance(60);
    expect(await restarts()).toBe(0);
    await world.advance(10);
    expect(world.takeSent(how).filter(({ reason }) => reason === 'flapping')).toEqual([]);
    await world.undesire(how);
    for (const dea of world.deas.values()) for (const guid of dea.of(how)) dea.forget(guid);
    world.takeSent(how);
  });

  test('is dropped at an update, and the slot is then missing after its time', async () => {
    await pending('updated');
    await world.updated('updated');
    expect(await restarts()).toBe(0);
    await world.advance(29);
    expect(world.takeAsked('updated')).toEqual([]);
    await world.advance(2);
    expect(world.takeAsked('updated')).toEqual(['start updated/1 (missing)']);
  });

  test('survives the restart of every process, and so does the count', async () => {
    await pending('durable');
    await world.restart();
    await world.advance(55);
    expect(world.takeAsked('durable')).toEqual([]);
    await world.end();
    world.clock.advance(1000);
    await world.run('ingest', 'analyzer', 'nudger', 'sync');
    await world.advance(6);
    expect(world.takeAsked('durable')).toEqual(['start durable/1 (flapping)']);
    await crash('durable', 1);
    const [job] = await world.rest.queue('restarts').getDelayed();
    expect(job?.delay).toBe(120_000);
    await world.desire('durable', { state: 'STOPPED' });
  });
});
