import { expect, test } from 'vitest';
import { LOG_LENGTH, type LogEntry } from '../../../../../common/model/decision-log.ts';
import { useHmFixture } from '../../testing/hm-fixture.ts';

const fixture = useHmFixture();
const WANTED = 'STARTED 3x STAGED version v 256M updated 1398000000';
const at = (agoS: number) => fixture.context.clock.nowMs() - agoS * 1000;
const entry = (kind: LogEntry['kind'], agoS: number, more: Partial<LogEntry> = {}): LogEntry => ({
  ...{ atMs: at(agoS), droplet: 'app', kind, index: 2, version: 'v' },
  ...more,
});
const time = (agoS: number) => new Date(at(agoS)).toISOString().slice(11, 19);
/** Removes dates, which are shown only around midnight. */
const undated = (lines: string[]) => lines.map((line) => line.replace(/\d{4}-\d\d-\d\d /g, '').trimStart());
const slot = { index: 2, version: 'v', crashes: 3, flapping: true, lastCrashMs: 0 };

/** Index 2 crashed repeatedly and waits for its restart. */
async function flap(): Promise<void> {
  await fixture.list('app', WANTED, at(600));
  await fixture.heartbeat('dea-1', 'app', { a: '0 RUNNING', b: '1 RUNNING', c: '2 RUNNING' }, at(590));
  await fixture.heartbeat('dea-1', 'app', { a: '0 RUNNING', b: '1 RUNNING' }, at(0));
  const crash = { instance: 'c', index: 2, reason: 'CRASHED', version: 'v', crashTimestampS: 9 } as const;
  await fixture.exit('app', { ...crash, atMs: at(5) });
  const start = {
    id: 's2',
    reason: 'flapping',
    priority: 'high',
    decidedMs: at(5),
    dueMs: at(-113),
  } as const;
  await fixture.commit('app', { 'slot:2': { ...slot, lastCrashMs: at(5), start } }, [
    entry('exit', 505, { exit: 'CRASHED', crashes: 1, instance: 'x' }),
    entry('start', 505, { id: 's1', reason: 'crashed' }),
    entry('sent', 504, { id: 's1', reason: 'crashed' }),
    entry('up', 500, { state: 'RUNNING', dea: 'dea-7', instance: 'y' }),
    entry('exit', 5, { exit: 'CRASHED', crashes: 3, instance: 'c', dea: 'dea-1' }),
    entry('start', 5, { id: 's2', reason: 'flapping', dueMs: at(-113), crashes: 3 }),
  ]);
}

test('shows what happens next, then the story, newest first; writes nothing', async () => {
  await flap();
  const before = await fixture.dumpRedis();
  const { code, stdout, stderr } = await fixture.hm(['explain', 'app', '--utc']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = undated(stdout);
  expect(lines.slice(0, 6)).toEqual([
    expect.stringMatching(/^now \(\d\d:\d\d:\d\d\)$/),
    'wanted: STARTED, 3 instances of version v, package STAGED, 256 MB',
    '2 of 3 run',
    expect.stringMatching(
      new RegExp(
        `^index 2 {2}FLAPPING {2}3 crashes in a row, the last [\\d.]+ s ago; restart due in \\d+ s, at ${time(-113)}$`,
      ),
    ),
    'to try at once: hm retry app',
    '',
  ]);
  expect(lines.slice(6)).toEqual([
    `${time(5)}  index 2 crashed on dea-1 (3rd time in 500 s): flapping, restart in 118 s`,
    `${time(500)}  index 2 RUNNING on dea-7, 4 s after its start was sent`,
    `${time(504)}  index 2: start sent (crashed)`,
    `${time(505)}  index 2 crashed: start decided`,
    `${time(590)}  index 2 first listed by dea-1`,
    `${time(590)}  indices 0 and 1 first listed by dea-1 (RUNNING now)`,
    `${time(600)}  first seen`,
  ]);
  expect(await fixture.dumpRedis()).toEqual(before);
});

test('--json writes one entry a line, newest first; --limit keeps the latest', async () => {
  await flap();
  const { code, stdout, stderr } = await fixture.hm(['explain', 'app', '--json', '--limit', '2']);
  expect(code).toBe(0);
  expect(stdout.map((line) => JSON.parse(line))).toMatchObject([
    { kind: 'start', id: 's2', reason: 'flapping', dueMs: at(-113) },
    { kind: 'exit', exit: 'CRASHED', index: 2, crashes: 3, atMs: at(5) },
  ]);
  expect(stderr).toBe('hm: older entries are left out; --limit N shows more than 2\n');
});

test('--kind, --reason, --since and --until select lines; what they leave out still explains them', async () => {
  await flap();
  const story = async (...args: string[]) => {
    const { code, stdout } = await fixture.hm(['explain', 'app', '--utc', ...args]);
    expect(code).toBe(0);
    return undated(stdout.includes('') ? stdout.slice(stdout.indexOf('') + 1) : []);
  };
  const first = `${time(505)}  index 2 crashed: start decided`;
  const up = `${time(500)}  index 2 RUNNING on dea-7, 4 s after its start was sent`;
  const last = `${time(5)}  index 2 crashed on dea-1 (3rd time in 500 s): flapping, restart in 118 s`;
  expect(await story('--kind', 'exit,up')).toEqual([last, up, first]);
  expect(await story('--reason', 'flapping')).toEqual([last]);
  expect(await story('--reason', 'CRASHED', '--since', '1m')).toEqual([last]);
  expect(await story('--since', '502s', '--until', new Date(at(400)).toISOString())).toEqual([up]);
  expect(await story('--kind', 'giveup')).toEqual([]);
  const { stdout } = await fixture.hm(['explain', 'app', '--json', '--kind', 'sent', '--limit', '1']);
  expect(stdout.map((line) => JSON.parse(line))).toMatchObject([{ kind: 'sent', id: 's1' }]);
  for (const wrong of [
    ['--kind', 'starts'],
    ['--reason', 'x'],
    ['--since', 'yesterday'],
    ['--until', '2026-01-31'],
  ]) {
    expect(await fixture.hm(['explain', 'app', ...wrong])).toMatchObject({ code: 64 });
  }
});

test('entries of other droplets of the slice are skipped, over a log of any length', async () => {
  const { client, keys } = fixture.context.redis;
  await fixture.list('app', WANTED, at(60));
  await fixture.commit('app', {}, [entry('start', 50, { reason: 'missing' })]);
  const others = client.pipeline();
  for (let n = 0; n < 1200; n++) {
    const other = JSON.stringify(entry('start', 40, { droplet: 'other', reason: 'missing' }));
    others.xadd(keys.decisions(keys.sliceOf('app')), '*', 'entry', other);
  }
  await others.exec();
  await fixture.commit('app', {}, [entry('sent', 49, { reason: 'missing' })]);
  const { stdout, stderr } = await fixture.hm(['explain', 'app', '--utc']);
  expect(undated(stdout).slice(-3, -1)).toEqual([
    `${time(49)}  index 2: start sent (missing)`,
    `${time(50)}  index 2 is missing (no instance is known): start decided`,
  ]);
  expect(stderr).toBe('');
});

test('a crash loop is one line, unless --kind selects lines; a hold is explained once', async () => {
  await fixture.list('app', WANTED, at(600));
  const rounds = [0, 1, 2, 3, 4].flatMap((n) => [
    entry('exit', 500 - 60 * n, { exit: 'CRASHED', instance: `i${n}` }),
    entry('start', 500 - 60 * n, { reason: 'crashed', id: `s${n}` }),
    entry('sent', 499 - 60 * n, { reason: 'crashed', id: `s${n}` }),
    entry('up', 495 - 60 * n, { state: 'RUNNING', dea: 'dea-7', instance: `i${n + 1}` }),
  ]);
  const held = (agoS: number, index: number) =>
    entry('held', agoS, { what: 'start', reason: 'missing', hold: 'mass_loss', index });
  await fixture.commit('app', {}, [...rounds, held(30, 0), held(9, 1)]);
  const text = (await fixture.hm(['explain', 'app', '--utc'])).stdout.join('\n');
  expect(text).toContain('index 2 crashed 4 times within 180 s, and was started again each time');
  expect(text.match(/crashed: start decided/g)).toHaveLength(1);
  expect(text).toMatch(/index 1 is missing .*not started: hold mass_loss \(too many DEAs went silent/);
  expect(text).toMatch(/index 0 is missing .*not started: hold mass_loss$/m);
  const each = (await fixture.hm(['explain', 'app', '--kind', 'exit'])).stdout.join('\n');
  expect(each.match(/crashed: start decided/g)).toHaveLength(5);
});

test('a removed droplet is shown from the log', async () => {
  await fixture.commit('app', {}, []);
  const { client, keys } = fixture.context.redis;
  await client.xadd(keys.decisions(keys.sliceOf('app')), '*', 'entry', JSON.stringify(entry('removed', 9)));
  const { code, stdout } = await fixture.hm(['explain', 'app', '--utc']);
  expect(code).toBe(0);
  expect(undated(stdout)).toEqual([
    'now: the health manager has no record of app any more',
    '',
    `${time(9)}  its record was removed because it is not desired and no instance runs`,
  ]);
});

test('missing and unreadable entries of the log are noted', async () => {
  await fixture.list('app', WANTED, at(60));
  const { client, keys } = fixture.context.redis;
  const log = keys.decisions(keys.sliceOf('app'));
  const entries = client.pipeline();
  for (let n = 0; n < LOG_LENGTH; n++) entries.xadd(log, `${at(30)}-${n + 1}`, 'entry', '{"kind":7}');
  await entries.exec();
  const { code, stderr } = await fixture.hm(['explain', 'app', '--utc']);
  expect(code).toBe(0);
  expect(stderr).toContain(`${LOG_LENGTH} entries of the decision log cannot be read`);
  expect(stderr).toMatch(new RegExp(`reaches back to (.* )?${time(30)}: earlier entries have been removed`));
});

test('an unknown droplet: exit code 1', async () => {
  expect(await fixture.hm(['explain', 'nobody'])).toEqual({
    code: 1,
    stdout: [],
    stderr: 'hm: droplet nobody: unknown\n',
  });
});
