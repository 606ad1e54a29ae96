import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { heldField } from '../../../../common/redis/fleet/summary.ts';
import { build, hasTerminals, hmChild, hmOnTerminal } from '../testing/hm-child.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';
import type { Figures } from './figures.ts';

const fixture = useHmFixture();
const nowMs = () => fixture.context.clock.nowMs();
const wanted = (instances: number) => `STARTED ${instances}x STAGED version v 256M updated 1398000000`;
const config = (more = '') => fixture.file(`redis:\n  url: ${fixture.server.url}\n${more}`);

beforeAll(build, 300_000);
// Each starts programs, and the machine has other tests to run beside them.

/** `half` lacks one of two, `empty` all three, `whole` nothing; mass_delete is on, and a start waits in its queue. */
async function fill(): Promise<void> {
  await fixture.list('half', wanted(2), nowMs() - 100_000);
  await fixture.list('empty', wanted(3), nowMs() - 100_000);
  await fixture.list('whole', wanted(1), nowMs() - 100_000);
  await fixture.heartbeat('dea-1', 'half', { a: '0 RUNNING' }, nowMs());
  await fixture.heartbeat('dea-1', 'whole', { b: '0 RUNNING' }, nowMs());
  await fixture.commit('half', {}, [
    { atMs: nowMs(), droplet: 'half', kind: 'start', reason: 'missing', id: 's', index: 1, version: 'v' },
  ]);
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.summary(0), { apps: 3, started_apps: 3, running: 2, missing: 4, flapping: 1 });
  await client.hset(keys.summary(1), { apps: 2, running: 5, [heldField('mass_delete')]: 7 });
  await client.hset(keys.holds, 'mass_delete', JSON.stringify({ sinceMs: nowMs() - 5_000, accepted: 100 }));
  await client.hset(keys.counters, 'heartbeat_msgs_received', 10);
  // The analyzer's index, in which `whole` still has a problem that its record no longer shows.
  for (const [id, severity] of Object.entries({ half: 500_001, empty: 1_000_003, whole: 1 }))
    await client.zadd(keys.troubled(keys.sliceOf(id)), severity, id);
  await client.zadd(`${keys.queuePrefix}:starts:prioritized`, 1, 's');
}

test('as text: totals, holds, queues, the worst droplets, the latest decisions; writes nothing', async () => {
  await fill();
  const before = await fixture.dumpRedis();
  const child = hmChild(['top', '--utc', '--config', config('dry_run: true\n')]);
  expect({ code: await child.ended, stderr: child.output.stderr }).toEqual({ code: 0, stderr: '' });
  const text = child.output.stdout;
  expect(text).toContain('dry_run is on');
  expect(text).toMatch(/^4 of 11 wanted instances are not running\. The hold mass_delete is on\.$/m);
  // The records say that no slot is flapping, whatever the latest audits counted.
  expect(text).toMatch(/^fleet +5 droplets, 3 started; 7 of 11 instances run, 4 missing, 0 flapping/m);
  expect(text).toMatch(/^processes +ingest 1, sync 1, analyzer 1, nudger 1, reporter 1$/m);
  expect(text).toMatch(/^DEAs +1 alive, 0 late, 0 lost$/m);
  expect(text).toMatch(/^holds +mass_delete since \d\d:\d\d:\d\d, 7 droplets: too many apps left/m);
  expect(text).toMatch(/^starts +1 +0 +heartbeats +0\.0 +exits +0\.0/m);
  const lines = text.split('\n').map((line) => line.trim());
  const at = lines.findIndex((line) => line.startsWith('NEEDS ATTENTION'));
  expect(lines[at]).toContain('2, worst first');
  expect(lines[at + 1]).toMatch(/^APP {4}RUNS {2}STATE {5}INDEX {3}WHAT HAPPENS$/);
  expect(lines[at + 2]).toMatch(/^empty {2}0\/3 {3}MISSING {3}0 to 2 {2}about to be reconciled$/);
  expect(lines[at + 3]).toMatch(/^half {3}1\/2 {3}MISSING {3}1 {7}about to be reconciled$/);
  expect(lines.at(-2)).toMatch(/^\d\d:\d\d:\d\d {2}half {2}index 1 is missing .*: start decided$/);
  expect(text).not.toContain('\x1b');
  expect(await fixture.dumpRedis()).toEqual(before);
});

test('--json writes one object', async () => {
  await fill();
  const child = hmChild(['top', '--json', '--config', config()]);
  expect(await child.ended).toBe(0);
  const figures = JSON.parse(child.output.stdout) as Figures;
  expect(figures.fleet.totals).toMatchObject({ apps: 5, missing: 4 });
  expect(figures.fleet.queues.starts).toEqual({ waiting: 1, delayed: 0 });
  expect(figures.apps.map(({ droplet }) => droplet)).toEqual(['empty', 'half']);
  expect(figures.rates).toMatchObject({ heartbeat_msgs_received: 0 });
  expect(figures.latest).toMatchObject([{ droplet: 'half' }]);
});

test('rates are differences of the counters', async () => {
  await fill();
  const { client, keys } = fixture.context.redis;
  const counting = setInterval(() => void client.hincrby(keys.counters, 'heartbeat_msgs_received', 1), 10);
  const child = hmChild(['top', '--json', '--config', config()]);
  await child.ended;
  clearInterval(counting);
  const { rates } = JSON.parse(child.output.stdout) as Figures;
  expect(rates?.heartbeat_msgs_received).toBeGreaterThan(10);
  expect(rates?.heartbeat_msgs_received).toBeLessThan(110);
});

describe.skipIf(!hasTerminals())('on a terminal (needs `script` of util-linux)', () => {
  /** The screen after the last redraw. */
  const screenOf = (stdout: string) => stripVTControlCharacters(stdout.split('\x1b[H').at(-1) ?? '');

  test('q ends the live screen and restores the terminal', async () => {
    await fill();
    const child = hmOnTerminal(['top', '-s', '1', '--config', config()]);
    await child.waitForOutput('4 missing');
    const { client, keys } = fixture.context.redis;
    await fixture.list('more', wanted(5), nowMs() - 100_000);
    await client.zadd(keys.troubled(keys.sliceOf('more')), 1_000_005, 'more');
    await child.waitForOutput('9 missing');
    expect(child.output.stdout).toContain('\x1b[?1049h');
    expect(child.output.stdout).toContain('\x1b[31m9 missing');
    const lines = screenOf(child.output.stdout).split(/\r+\n/);
    expect(lines.length).toBeLessThanOrEqual(40);
    for (const line of lines) expect(line.length).toBeLessThan(120);
    child.process.stdin?.write('q');
    expect(await child.ended).toBe(0);
    expect(child.output.stdout).toContain('\x1b[?25h\x1b[?1049l');
  });

  test('keys select, filter, sort and open the story; what is cut ends in dots', async () => {
    await fill();
    const child = hmOnTerminal(['top', '--utc', '--config', config()]);
    const shows = async (expected: string | RegExp) =>
      expect.poll(() => screenOf(child.output.stdout)).toMatch(expected);
    const press = (keys: string) => child.process.stdin?.write(keys);
    await shows(/NEEDS ATTENTION {2}2, worst first/);
    await shows(/q quit {2}\? help {2}up\/down select {2}Enter story/);
    for (const line of screenOf(child.output.stdout).split(/\r+\n/)) {
      if (line.length === 119) expect(line).toMatch(/\.\.\.$/);
    }
    press('?');
    await shows(/filter by a part of the guid/);
    press('?/HAL');
    await shows(/1, worst first {2}\/ HAL/);
    press('\r\r');
    await shows(/wanted: STARTED, 2 instances.*1 of 2 run.*index 1 {2}MISSING.*start decided/s);
    press('\x1b');
    await shows(/NEEDS ATTENTION/);
    press('\x1b');
    await shows(/2, worst first/);
    press('a');
    await shows(/ALL APPS {2}3, by name.*whole {2}1\/1/s);
    press('s');
    press('s');
    await shows(/most missing first.*empty.*half.*whole/s);
    press('q');
    expect(await child.ended).toBe(0);
  });

  test('Ctrl-C ends it, too; NO_COLOR turns colours off', async () => {
    await fill();
    const child = hmOnTerminal(['top', '--config', config()], { env: { NO_COLOR: '1' } });
    await child.waitForOutput('4 missing');
    child.process.stdin?.write('\x03');
    expect(await child.ended).toBe(0);
    expect(child.output.stdout).not.toContain('\x1b[31m');
  });

  test('an unreachable Redis: the terminal is restored, exit code 1 with the reason', async () => {
    const file = fixture.file('redis:\n  url: redis://127.0.0.1:1\n');
    const child = hmOnTerminal(['top', '--config', file]);
    expect(await child.ended).toBe(1);
    const [, after = ''] = child.output.stdout.split('\x1b[?1049l');
    expect(after).toContain('hm: Redis at 127.0.0.1:1: connect ECONNREFUSED');
  });

  test('dump into a file shows its progress on the terminal', async () => {
    await fill();
    const into = fixture.file('');
    const child = hmOnTerminal(['dump', '--config', config()], {}, ` > '${into}'`);
    expect(await child.ended).toBe(0);
    const drawn = child.output.stdout.split('\r\x1b[K');
    expect(drawn[1]).toMatch(/^\[#+-*\] +\d+% \d droplets$/);
    // The progress is cleared at the end.
    expect(drawn.at(-1)).toBe('');
  });
});
