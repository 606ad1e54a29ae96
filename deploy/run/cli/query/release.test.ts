import { describe, expect, test, vi } from 'vitest';
import { RELEASE_FIELD, type ReleasableHold } from '../../../../common/redis/fleet/holds/holds.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const HOLDS: ReleasableHold[] = ['mass_loss', 'mass_delete'];
/** The states as analyzer and sync write them. */
const on = () => ({
  mass_loss: JSON.stringify({
    sinceMs: fixture.context.clock.nowMs() - 1000,
    lateDeas: ['dea-1', 'dea-2', 'dea-3'],
  }),
  mass_delete: JSON.stringify({ sinceMs: fixture.context.clock.nowMs() - 1000, accepted: 100, listed: 3 }),
});
const CONSEQUENCE = {
  mass_loss:
    '3 DEAs are silent. Releasing starts 0 instances of 0 apps elsewhere, at most 40 a second. If those DEAs are only cut off, each of these runs twice until they are back.',
  mass_delete: 'The controller no longer lists 97 apps. Releasing stops all their instances.',
};
const off = { mass_loss: '{"lateDeas":[]}', mass_delete: '{"accepted":3}' };
const set = (hold: ReleasableHold, state: string) =>
  fixture.context.redis.client.hset(fixture.context.redis.keys.holds, hold, state);
const requestedMs = (hold: ReleasableHold) =>
  fixture.context.redis.client.hget(fixture.context.redis.keys.holds, RELEASE_FIELD[hold]);

describe.each(HOLDS)('release %s', (hold) => {
  test('fails for a hold that is not on, and writes nothing', async () => {
    for (const other of HOLDS) await set(other, other === hold ? off[other] : on()[other]);
    const before = await fixture.dumpRedis();
    expect(await fixture.hm(['release', hold])).toEqual({
      code: 1,
      stdout: [],
      stderr: `hm: ${hold} is not on: there is nothing to release\n`,
    });
    expect(await fixture.dumpRedis()).toEqual(before);
  });

  test('waits until the hold is off', async () => {
    await set(hold, on()[hold]);
    const released = fixture.hm(['release', hold]);
    const at = await vi.waitUntil(() => requestedMs(hold), { timeout: 60_000 });
    // A time of Redis's clock, with which the hold's owner compares it.
    expect(Number(at)).toBeGreaterThanOrEqual(fixture.context.clock.nowMs());
    await set(hold, off[hold]);
    expect(await released).toEqual({
      code: 0,
      stdout: [
        expect.stringContaining(CONSEQUENCE[hold]),
        `${hold} is on; release requested`,
        `${hold} is off`,
      ],
      stderr: '',
    });
  });

  test('fails with a hint when the hold does not end', async () => {
    await set(hold, on()[hold]);
    let jumpedMs = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => {
      jumpedMs += 6_000;
      return now() + jumpedMs;
    });
    const { code, stderr } = await fixture.hm(['release', hold]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${hold} is still on after 5 s. The request stays in force: `);
    expect(await requestedMs(hold)).not.toBeNull();
  });
});

test.each([[['release']], [['release', 'actual_not_fresh']], [['release', 'mass_loss', 'mass_delete']]])(
  'wrong usage: %j',
  async (argv) => {
    expect((await fixture.hm(argv)).code).toBe(64);
    expect(await fixture.context.redis.client.exists(fixture.context.redis.keys.holds)).toBe(0);
  },
);
