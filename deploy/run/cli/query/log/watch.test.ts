import { Redis } from 'ioredis';
import { beforeAll, expect, test } from 'vitest';
import type { LogEntry } from '../../../../../common/model/decision-log.ts';
import { startTestRedis, type TestRedis } from '../../../../../common/testing/redis/server.ts';
import { build, hmChild } from '../../testing/hm-child.ts';
import { useHmFixture } from '../../testing/hm-fixture.ts';

const fixture = useHmFixture();
const WANTED = 'STARTED 3x STAGED version v 256M updated 1398000000';
const entry = (kind: LogEntry['kind'], droplet: string, more: Partial<LogEntry> = {}): LogEntry => ({
  ...{ atMs: fixture.context.clock.advance(1), droplet, kind, index: 2, version: 'v' },
  ...more,
});
const config = () => fixture.file(`redis:\n  url: ${fixture.server.url}\n`);

beforeAll(build, 300_000);
// Each starts programs, and the machine has other tests to run beside them.

test('shows decisions of all droplets as they are made, after past ones; Ctrl-C is no failure', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  await fixture.list('api', WANTED, fixture.context.clock.nowMs());
  await fixture.commit('web', {}, [entry('start', 'web', { id: 's1', reason: 'crashed' })]);
  await fixture.commit('api', {}, [entry('giveup', 'api', { crashes: 5 })]);
  const before = await fixture.dumpRedis();
  const child = hmChild(['watch', '--utc', '-n', '2', '--config', config()]);
  await child.waitForOutput(/api {2}index 2 given up after 5 crashes/);
  expect(await fixture.dumpRedis()).toEqual(before);

  await fixture.commit('web', {}, [entry('sent', 'web', { id: 's1', reason: 'crashed' })]);
  await child.waitForOutput(/web {2}index 2: start sent \(crashed\)\n/);
  await fixture.commit('web', {}, [entry('up', 'web', { state: 'RUNNING', dea: 'dea-7', instance: 'i' })]);
  await child.waitForOutput(/web {2}index 2 RUNNING on dea-7, \S+ s after its start was sent\n/);
  child.process.kill('SIGINT');
  expect(await child.ended).toBe(0);
  const lines = child.output.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/ {2}web {2}index 2: start decided because it crashed$/);
  expect(child.output.stderr).toBe('');
  // The output is no terminal, so it has no colours.
  expect(child.output.stdout).not.toContain('\x1b');
});

test('--json writes one entry a line, without past ones by default', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  await fixture.commit('web', {}, [entry('start', 'web', { id: 's1', reason: 'missing' })]);
  const child = hmChild(['watch', '--json', '--config', config()]);
  const sent = entry('sent', 'web', { id: 's1', reason: 'missing' });
  // The entry is written until the child shows one, because its start cannot be observed.
  await expect
    .poll(
      async () => {
        await fixture.commit('web', {}, [sent]);
        return child.output.stdout;
      },
      { timeout: 20_000, interval: 100 },
    )
    .not.toBe('');
  child.process.kill('SIGTERM');
  expect(await child.ended).toBe(0);
  for (const line of child.output.stdout.trimEnd().split('\n')) expect(JSON.parse(line)).toEqual(sent);
});

test('--since begins with past decisions, --kind and --reason select, and --until ends it', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  const missing = entry('start', 'web', { id: 's1', reason: 'missing' });
  const crashed = entry('start', 'web', { id: 's2', reason: 'crashed' });
  const sent = entry('sent', 'web', { id: 's1', reason: 'missing' });
  await fixture.commit('web', {}, [missing, crashed, sent]);
  const until = new Date(fixture.context.clock.nowMs() + 1_000).toISOString();
  const watched = async (...args: string[]) => {
    const child = hmChild(['watch', '--json', '--until', until, '--config', config(), ...args]);
    expect(await child.ended).toBe(0);
    const lines = child.output.stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line));
  };
  expect(await watched('--since', '1h')).toEqual([missing, crashed, sent]);
  expect(await watched('--since', '1h', '--kind', 'start')).toEqual([missing, crashed]);
  expect(await watched('-n', '1', '--reason', 'crashed')).toEqual([crashed]);
  expect(await watched('-n', '1', '--kind', 'giveup')).toEqual([]);
});

test('--kind selects new decisions, too', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  await fixture.commit('web', {}, [entry('start', 'web', { id: 's1', reason: 'missing' })]);
  const child = hmChild(['watch', '-n', '1', '--kind', 'start,giveup', '--utc', '--config', config()]);
  await child.waitForOutput('start decided');
  const sent = entry('sent', 'web', { id: 's1', reason: 'missing' });
  await fixture.commit('web', {}, [sent, entry('giveup', 'web', { crashes: 5 })]);
  await child.waitForOutput('given up after 5 crashes');
  child.process.kill('SIGINT');
  expect(await child.ended).toBe(0);
  expect(child.output.stdout.trimEnd().split('\n')).toHaveLength(2);
});

test('what one hold keeps back of several apps is one line, and the hold is explained once', async () => {
  const held = (droplet: string, index: number) =>
    entry('held', droplet, { what: 'start', reason: 'missing', hold: 'mass_loss', index });
  for (const app of ['api', 'mail', 'shop', 'web']) {
    await fixture.list(app, WANTED, fixture.context.clock.nowMs());
    await fixture.commit(app, {}, [held(app, 0)]);
  }
  const child = hmChild(['watch', '-n', '4', '--config', config()]);
  await child.waitForOutput('mass_loss');
  await fixture.commit('web', {}, [held('web', 1)]);
  await child.waitForOutput('index 1');
  child.process.kill('SIGINT');
  await child.ended;
  const [first, last, ...more] = child.output.stdout.trimEnd().split('\n');
  expect(first).toMatch(
    / {2}4 indices of 4 apps are not started: hold mass_loss: api, mail, shop and 1 more \(too many DEAs went silent at once; /,
  );
  expect(last).toMatch(/web {2}index 1 is missing \(no instance is known\); not started: hold mass_loss$/);
  expect(more).toEqual([]);
});

test('control characters in names do not reach the terminal', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  await fixture.commit('web', {}, [entry('up', 'web', { state: '\x1b[2J', dea: 'dea-7', instance: 'i' })]);
  const child = hmChild(['watch', '-n', '1', '--config', config()]);
  await child.waitForOutput('on dea-7');
  child.process.kill('SIGINT');
  await child.ended;
  expect(child.output.stdout).not.toContain('\x1b');
});

test('ends when the reader closes the output', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  const child = hmChild(['watch', '--json', '-n', '1', '--config', config()]);
  await fixture.commit('web', {}, [entry('updated', 'web')]);
  await child.waitForOutput('updated');
  child.process.stdout?.destroy();
  await fixture.commit('web', {}, [entry('updated', 'web')]);
  expect(await child.ended).toBe(0);
});

test('continues after an outage of Redis; a Redis that is away at the start is a failure', async () => {
  await fixture.list('web', WANTED, fixture.context.clock.nowMs());
  const redis = await startTestRedis();
  let back: TestRedis | undefined;
  const { keys, client } = fixture.context.redis;
  const layout = await client.hgetall(keys.layout);
  /** In the other Redis. */
  const there = async (work: (other: Redis) => Promise<unknown>) => {
    const other = new Redis(redis.url);
    await other.hset(keys.layout, layout);
    await work(other);
    await other.quit();
  };
  const update = JSON.stringify(entry('updated', 'web'));
  const stream = keys.decisions(keys.sliceOf('web'));
  try {
    await there((other) => other.xadd(stream, '*', 'entry', update));
    const child = hmChild([
      'watch',
      '--json',
      '-n',
      '1',
      '--config',
      fixture.file(`redis: { url: ${redis.url} }`),
    ]);
    await child.waitForOutput('"kind":"updated"');
    await redis.stop();
    await expect.poll(() => child.output.stderr).toContain('retried every second');
    back = await startTestRedis(redis.port);
    // A Redis that comes back empty starts new entry ids, which are later than the old ones.
    await there((other) => other.xadd(stream, '*', 'entry', update.replace('updated', 'listed')));
    await child.waitForOutput('"kind":"listed"');
    child.process.kill('SIGINT');
    expect(await child.ended).toBe(0);
  } finally {
    await redis.stop();
    await back?.stop();
  }
  const late = hmChild(['watch', '--config', fixture.file(`redis: { url: ${redis.url} }`)]);
  expect(await late.ended).toBe(1);
  expect(late.output.stderr).toMatch(/^hm: Redis at 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
});
