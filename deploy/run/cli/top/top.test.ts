import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { heldField } from '../../../../common/redis/summary.ts';
import { build, hasTerminals, hmChild, hmOnTerminal } from '../testing/hm-child.ts';
import { useMemory } from '../testing/hm-fixture.ts';
import type { Figures } from './figures.ts';

const of = useMemory();
const nowMs = () => of.context.clock.nowMs();
const wanted = (instances: number) => `STARTED ${instances}x STAGED version v 256M updated 1398000000`;
const config = (more = '') => of.file(`redis:\n  url: ${of.server.url}\n${more}`);

beforeAll(build, 300_000);
// Each starts programs, and the machine has other tests to run beside them.
vi.setConfig({ testTimeout: 90_000 });

/** `half` lacks one of two, `empty` all three, `whole` nothing; mass_delete is on, and a start waits in its queue. */
async function fill(): Promise<void> {
  await of.listed('half', wanted(2), nowMs() - 100_000);
  await of.listed('empty', wanted(3), nowMs() - 100_000);
  await of.listed('whole', wanted(1), nowMs() - 100_000);
  await of.heard('dea-1', 'half', { a: '0 RUNNING' }, nowMs());
  await of.heard('dea-1', 'whole', { b: '0 RUNNING' }, nowMs());
  await of.decided('half', {}, [
    { atMs: nowMs(), droplet: 'half', kind: 'start', reason: 'missing', id: 's', index: 1, version: 'v' },
  ]);
  const { client, keys } = of.context.redis;
  await client.hset(keys.summary(0), { apps: 3, started_apps: 3, running: 2, missing: 4, flapping: 1 });
  await client.hset(keys.summary(1), { apps: 2, running: 5, [heldField('mass_delete')]: 7 });
  await client.hset(keys.holds, 'mass_delete', JSON.stringify({ sinceMs: nowMs() - 5_000, accepted: 100 }));
  await client.hset(keys.counters, 'heartbeat_msgs_received', 10);
  // As the analyzer keeps it: whole is well by now, and the index not yet told.
  for (const [id, severity] of Object.entries({ half: 500_001, empty: 1_000_003, whole: 1 }))
    await client.zadd(keys.troubled(keys.sliceOf(id)), severity, id);
  await client.zadd(`${keys.queuePrefix}:starts:prioritized`, 1, 's');
}

test('once, as text: totals, holds, queues, the worst first, the latest decisions; creates nothing', async () => {
  await fill();
  const before = await of.everything();
  const child = hmChild(['top', '--utc', '--config', config('dry_run: true\n')]);
  expect({ code: await child.ended, stderr: child.said.stderr }).toEqual({ code: 0, stderr: '' });
  const text = child.said.stdout;
  expect(text).toContain('dry_run is on');
  expect(text).toMatch(/^fleet +5 apps, 3 started; 7 of 11 instances run, 4 missing, 1 flapping/m);
  expect(text).toMatch(/^DEAs +1 alive, 0 late, 0 lost$/m);
  expect(text).toMatch(/^holds +mass_delete since \d\d:\d\d:\d\d, 7 droplets: so many droplets left/m);
  expect(text).toMatch(/^starts +1 +0 +heartbeats +0\.0 +exits +0\.0/m);
  const lines = text.split('\n').map((line) => line.trim());
  const at = lines.findIndex((line) => line.startsWith('NOT AS THEY SHOULD BE'));
  expect(lines[at]).toContain('2, worst first');
  expect(lines[at + 1]).toMatch(/^empty {2}0 of 3 {2}index 0 MISSING, .*; index 2 MISSING/);
  expect(lines[at + 2]).toMatch(/^half {2}1 of 2 {2}index 1 MISSING, about to be reconciled$/);
  expect(lines.at(-2)).toMatch(/^\d\d:\d\d:\d\d {2}half {2}index 1 is missing .*: start decided$/);
  expect(text).not.toContain('\x1b');
  expect(await of.everything()).toEqual(before);
});

test('as JSON', async () => {
  await fill();
  const child = hmChild(['top', '--json', '--config', config()]);
  expect(await child.ended).toBe(0);
  const figures = JSON.parse(child.said.stdout) as Figures;
  expect(figures.fleet.totals).toMatchObject({ apps: 5, missing: 4 });
  expect(figures.fleet.queues.starts).toEqual({ waiting: 1, delayed: 0 });
  expect(figures.worst.droplets.map(({ droplet }) => droplet)).toEqual(['empty', 'half']);
  expect(figures.rates).toMatchObject({ heartbeat_msgs_received: 0 });
  expect(figures.latest).toMatchObject([{ droplet: 'half' }]);
});

test('rates are what was counted meanwhile', async () => {
  await fill();
  const { client, keys } = of.context.redis;
  const counting = setInterval(() => void client.hincrby(keys.counters, 'heartbeat_msgs_received', 1), 10);
  const child = hmChild(['top', '--json', '--config', config()]);
  await child.ended;
  clearInterval(counting);
  const { rates } = JSON.parse(child.said.stdout) as Figures;
  expect(rates?.heartbeat_msgs_received).toBeGreaterThan(10);
  expect(rates?.heartbeat_msgs_received).toBeLessThan(110);
});

describe.skipIf(!hasTerminals())('on a terminal (needs `script` of util-linux)', () => {
  /** The screen as it was last drawn. */
  const screenOf = (stdout: string) => stripVTControlCharacters(stdout.split('\x1b[H').at(-1) ?? '');

  test('a live screen; q ends it and gives the terminal back', async () => {
    await fill();
    const child = hmOnTerminal(['top', '-s', '1', '--config', config()]);
    await child.says('4 missing');
    await of.context.redis.client.hset(of.context.redis.keys.summary(0), 'missing', 9);
    await child.says('9 missing');
    expect(child.said.stdout).toContain('\x1b[?1049h');
    expect(child.said.stdout).toContain('\x1b[31m9 missing');
    const lines = screenOf(child.said.stdout).split(/\r+\n/);
    expect(lines.length).toBeLessThanOrEqual(40);
    for (const line of lines) expect(line.length).toBeLessThan(120);
    child.process.stdin?.write('q');
    expect(await child.ended).toBe(0);
    expect(child.said.stdout).toContain('\x1b[?25h\x1b[?1049l');
  });

  test('Ctrl-C ends it, too; no colours where NO_COLOR is set', async () => {
    await fill();
    const child = hmOnTerminal(['top', '--config', config()], { env: { NO_COLOR: '1' } });
    await child.says('4 missing');
    child.process.stdin?.write('\x03');
    expect(await child.ended).toBe(0);
    expect(child.said.stdout).not.toContain('\x1b[31m');
  });

  test('a Redis that cannot be reached: the terminal as it was, the reason, exit code 1', async () => {
    const file = of.file('redis:\n  url: redis://127.0.0.1:1\n');
    const child = hmOnTerminal(['top', '--config', file]);
    expect(await child.ended).toBe(1);
    const [, after = ''] = child.said.stdout.split('\x1b[?1049l');
    expect(after).toContain('hm: Redis at 127.0.0.1:1: connect ECONNREFUSED');
  });

  test('dump into a file says on the terminal how far it is', async () => {
    await fill();
    const into = of.file('');
    const child = hmOnTerminal(['dump', '--config', config()], {}, ` > '${into}'`);
    expect(await child.ended).toBe(0);
    const drawn = child.said.stdout.split('\r\x1b[K');
    expect(drawn[1]).toMatch(/^\[#+-*\] +\d+% \d droplets$/);
    // And nothing of it is left.
    expect(drawn.at(-1)).toBe('');
  });
});
