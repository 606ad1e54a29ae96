/** `hm hold`, `hm retry` and `hm sync --now`. */
import { describe, expect, test, vi } from 'vitest';
import { readHolds } from '../../../../common/redis/fleet/holds/holds.ts';
import { SETTINGS } from '../../../../common/testing/builders.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const operatorHolds = async () => {
  const { redis, clock } = fixture.context;
  return (await readHolds(redis, clock, SETTINGS)).operatorHolds ?? [];
};
const logOf = async (slice: number) => {
  const { client, keys } = fixture.context.redis;
  const entries = await client.xrange(keys.decisions(slice), '-', '+');
  return entries.map(([, fields]) => JSON.parse(fields[1] as string));
};

describe('hm hold', () => {
  test('pauses, lists and ends; the log names who did it', async () => {
    const placed = await fixture.hm([
      'hold',
      'starts',
      '--dea',
      'dea-7',
      '--for',
      '30m',
      '--why',
      'reboot',
      '--json',
    ]);
    expect(placed).toMatchObject({ code: 0, stderr: '' });
    const hold = JSON.parse(placed.stdout[0] as string);
    expect(hold).toMatchObject({ covers: 'starts', dea: 'dea-7', why: 'reboot' });
    expect(hold.untilMs - hold.sinceMs).toBe(30 * 60_000);
    expect(hold.by).toMatch(/.+@.+/);
    expect(await operatorHolds()).toEqual([hold]);

    const [line] = (await fixture.hm(['hold', 'list', '--utc'])).stdout;
    expect(line).toContain(`${hold.id}  ${hold.by} paused starts of dea-7 until `);
    expect(line).toContain(': reboot');

    expect(await fixture.hm(['hold', 'end', hold.id])).toMatchObject({
      code: 0,
      stdout: ['resumed starts of dea-7'],
    });
    expect(await operatorHolds()).toEqual([]);
    expect((await fixture.hm(['hold', 'list'])).stdout).toEqual(['nothing is paused']);
    expect(await logOf(0)).toMatchObject([
      {
        kind: 'operator',
        act: 'hold',
        by: hold.by,
        droplet: '',
        dea: 'dea-7',
        note: 'reboot',
        holdId: hold.id,
      },
      { kind: 'operator', act: 'end_hold', by: hold.by, holdId: hold.id },
    ]);
  });

  test('of a droplet is in the log of that droplet, and ends by the clock of the deployment', async () => {
    await fixture.hm(['hold', 'all', '--droplet', 'web', '--for', '90s', '--why', 'x']);
    const { keys, client } = fixture.context.redis;
    const [{ droplet }] = await logOf(keys.sliceOf('web'));
    expect(droplet).toBe('web');
    expect(await operatorHolds()).toHaveLength(1);
    fixture.context.clock.advance(95_000);
    expect(await operatorHolds()).toEqual([]);
    // A hold that has ended is removed by the next new one.
    const [id] = await client.hkeys(keys.operatorHolds);
    await client.hset(keys.operatorHolds, id as string, JSON.stringify({ untilMs: 1 }));
    await fixture.hm(['hold', 'stops', '--why', 'y']);
    expect(await client.hkeys(keys.operatorHolds)).not.toContain(id);
  });

  test('ending it makes troubled droplets due', async () => {
    const { client, keys } = fixture.context.redis;
    await client.zadd(keys.troubled(1), 5, 'app');
    await fixture.hm(['hold', 'all', '--why', 'x']);
    const [hold] = await operatorHolds();
    await fixture.hm(['hold', 'end', hold?.id as string]);
    expect(Number(await client.zscore(keys.due(1), 'app'))).toBeGreaterThan(0);
  });

  test.each([
    [['hold', 'starts'], 'expected the reason'],
    [['hold', 'starts', '--why', ' '], 'expected the reason'],
    [['hold', 'all', '--why', 'x', '--droplet', 'a', '--dea', 'b'], 'found both'],
    [['hold', 'all', '--why', 'x', '--for', '25h'], 'at most 24h'],
    [['hold', 'all', '--why', 'x', '--for', 'soon'], 'Expected a duration'],
    [['hold', 'all', 'more', '--why', 'x'], 'no further argument'],
    [['hold', 'end'], 'expected the id'],
    [['hold', 'nothing'], 'Allowed choices'],
    [['retry'], 'missing required argument'],
    [['retry', 'a', '-1'], 'Expected an index'],
    [['retry', 'a', 'x'], 'Expected an index'],
  ])('wrong usage: %j', async (argv, problem) => {
    const { code, stderr } = await fixture.hm(argv);
    expect({ code, stderr }).toMatchObject({ code: 64, stderr: expect.stringContaining(problem) });
    expect(stderr).toMatch(/^hm: /);
    expect(await operatorHolds()).toEqual([]);
  });

  test('an id that is not on', async () => {
    expect(await fixture.hm(['hold', 'end', 'abc'])).toMatchObject({
      code: 1,
      stderr: 'hm: hold abc: expected a hold that is on (hm hold list), found none\n',
    });
  });
});

describe('hm retry', () => {
  const slot = (index: number, over: object) => ({
    [`slot:${index}`]: { index, version: 'v', crashes: 0, flapping: false, ...over },
  });
  const prepare = async () => {
    const nowMs = fixture.context.clock.nowMs();
    await fixture.list('web', 'STARTED 4x STAGED version v 256M updated 1', nowMs);
    const crashed = { crashes: 6, flapping: true, lastCrashMs: nowMs };
    await fixture.commit(
      'web',
      { ...slot(0, crashed), ...slot(1, {}), ...slot(3, { attempts: 3, retryMs: nowMs + 9e5 }) },
      [],
    );
  };

  test('asks for another try of every slot that waits, makes the droplet due, and logs it', async () => {
    await prepare();
    const { client, keys } = fixture.context.redis;
    const rev = await client.hget(keys.droplet('web'), 'rev');
    expect(await fixture.hm(['retry', 'web'])).toMatchObject({
      code: 0,
      stdout: ['2 slots to be tried at once: indices 0 and 3'],
    });
    const record = await client.hgetall(keys.droplet('web'));
    expect(
      Object.keys(record)
        .filter((field) => field.startsWith('retry:'))
        .sort(),
    ).toEqual(['retry:0', 'retry:3']);
    expect(Number(record.rev)).toBeGreaterThan(Number(rev));
    expect(Number(await client.zscore(keys.due(keys.sliceOf('web')), 'web'))).toBeGreaterThan(0);
    expect((await logOf(keys.sliceOf('web'))).at(-1)).toMatchObject({ act: 'retry', indices: [0, 3] });
  });

  test('of one index', async () => {
    await prepare();
    expect((await fixture.hm(['retry', 'web', '3'])).stdout).toEqual(['1 slot to be tried at once: index 3']);
    expect((await fixture.hm(['retry', 'web', '1'])).stderr).toContain('index 1 is not given up');
  });

  test('of an unknown droplet', async () => {
    expect(await fixture.hm(['retry', 'nope'])).toMatchObject({
      code: 1,
      stderr: 'hm: droplet nope: expected a record, found none\n',
    });
  });
});

describe('hm sync --now', () => {
  test('waits for the pass that it requested', async () => {
    const { client, keys } = fixture.context.redis;
    const running = fixture.hm(['sync', '--now']);
    const requested = await vi.waitUntil(() => client.hget(keys.syncState, 'requested'), { timeout: 60_000 });
    const later = Number(requested) + 1;
    await client.hset(keys.syncState, { begun: later, completed: later, listed: 12, duration_ms: 1500 });
    expect(await running).toEqual({
      code: 0,
      stdout: ['bulk sync requested', '12 apps listed in 1.5 s'],
      stderr: '',
    });
    expect(await logOf(0)).toMatchObject([{ kind: 'operator', act: 'sync' }]);
  });

  test('fails when the pass fails', async () => {
    const { client, keys } = fixture.context.redis;
    const running = fixture.hm(['sync', '--now']);
    const requested = await vi.waitUntil(() => client.hget(keys.syncState, 'requested'), { timeout: 60_000 });
    const later = Number(requested) + 1;
    await client.hset(keys.syncState, { begun: later, failed: later, error: 'no answer' });
    expect(await running).toMatchObject({ code: 1, stderr: 'hm: the bulk sync failed: no answer\n' });
  });
});
