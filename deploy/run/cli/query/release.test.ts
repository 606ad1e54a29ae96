import { describe, expect, test, vi } from 'vitest';
import { RELEASE_FIELD, type ReleasableHold } from '../../../../common/redis/holds.ts';
import { useMemory } from '../testing/hm-fixture.ts';

const of = useMemory();
const HOLDS: ReleasableHold[] = ['mass_loss', 'mass_delete'];
/** As their owners write them. */
const on = () => ({
  mass_loss: JSON.stringify({
    sinceMs: of.context.clock.nowMs() - 1000,
    lateDeas: ['dea-1', 'dea-2', 'dea-3'],
  }),
  mass_delete: JSON.stringify({ sinceMs: of.context.clock.nowMs() - 1000, accepted: 100, listed: 3 }),
});
const off = { mass_loss: '{"lateDeas":[]}', mass_delete: '{"accepted":3}' };
const set = (hold: ReleasableHold, state: string) =>
  of.context.redis.client.hset(of.context.redis.keys.holds, hold, state);
const asked = (hold: ReleasableHold) =>
  of.context.redis.client.hget(of.context.redis.keys.holds, RELEASE_FIELD[hold]);

describe.each(HOLDS)('release %s', (hold) => {
  test('refuses what is not on, and asks for nothing', async () => {
    for (const other of HOLDS) await set(other, other === hold ? off[other] : on()[other]);
    const before = await of.everything();
    expect(await of.hm(['release', hold])).toEqual({
      code: 1,
      stdout: [],
      stderr: `hm: ${hold} is not on: there is nothing to release\n`,
    });
    expect(await of.everything()).toEqual(before);
  });

  test('waits until it is off', async () => {
    await set(hold, on()[hold]);
    const released = of.hm(['release', hold]);
    const at = await vi.waitUntil(() => asked(hold), { timeout: 10_000 });
    // On Redis's clock, which is what its owner compares it with.
    expect(Number(at)).toBeGreaterThanOrEqual(of.context.clock.nowMs());
    await set(hold, off[hold]);
    expect(await released).toEqual({
      code: 0,
      stdout: [`${hold} is on; its end is asked for`, `${hold} is off`],
      stderr: '',
    });
  });

  test('says what to do when nobody ends it', async () => {
    await set(hold, on()[hold]);
    let jumpedMs = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => {
      jumpedMs += 6_000;
      return now() + jumpedMs;
    });
    const { code, stderr } = await of.hm(['release', hold]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${hold} is still on, 5 s later. The request stands: `);
    expect(await asked(hold)).not.toBeNull();
  });
});

test.each([[['release']], [['release', 'actual_not_fresh']], [['release', 'mass_loss', 'mass_delete']]])(
  'wrong usage: %j',
  async (argv) => {
    expect((await of.hm(argv)).code).toBe(64);
    expect(await of.context.redis.client.exists(of.context.redis.keys.holds)).toBe(0);
  },
);
