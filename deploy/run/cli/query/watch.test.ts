import { Redis } from 'ioredis';
import { beforeAll, expect, test, vi } from 'vitest';
import type { LogEntry } from '../../../../common/model/decision-log.ts';
import { startTestRedis, type TestRedis } from '../../../../common/testing/redis.ts';
import { build, hmChild } from '../testing/hm-child.ts';
import { useMemory } from '../testing/hm-fixture.ts';

const of = useMemory();
const WANTED = 'STARTED 3x STAGED version v 256M updated 1398000000';
const entry = (kind: LogEntry['kind'], droplet: string, more: Partial<LogEntry> = {}): LogEntry => ({
  ...{ atMs: of.context.clock.advance(1), droplet, kind, index: 2, version: 'v' },
  ...more,
});
const config = () => of.file(`redis:\n  url: ${of.server.url}\n`);

beforeAll(build, 300_000);
// Each starts programs, and the machine has other tests to run beside them.
vi.setConfig({ testTimeout: 90_000 });

test('decisions of all droplets as they fall, with what was told before; Ctrl-C is no failure', async () => {
  await of.listed('web', WANTED, of.context.clock.nowMs());
  await of.listed('api', WANTED, of.context.clock.nowMs());
  await of.decided('web', {}, [entry('start', 'web', { id: 's1', reason: 'crashed' })]);
  await of.decided('api', {}, [entry('giveup', 'api', { crashes: 5 })]);
  const before = await of.everything();
  const child = hmChild(['watch', '--utc', '-n', '2', '--config', config()]);
  await child.says(/api {2}index 2 given up after 5 crashes/);
  expect(await of.everything()).toEqual(before);

  await of.decided('web', {}, [entry('sent', 'web', { id: 's1', reason: 'crashed' })]);
  await child.says(/web {2}index 2: start sent \(crashed\)\n/);
  await of.decided('web', {}, [entry('up', 'web', { state: 'RUNNING', dea: 'dea-7', instance: 'i' })]);
  await child.says(/web {2}index 2 RUNNING on dea-7, \S+ s after its start was sent\n/);
  child.process.kill('SIGINT');
  expect(await child.ended).toBe(0);
  const lines = child.said.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/ {2}web {2}index 2: start decided because it crashed$/);
  expect(child.said.stderr).toBe('');
  // No terminal, no colours.
  expect(child.said.stdout).not.toContain('\x1b');
});

test('as JSON, an entry a line; not what was before, unless it is asked for', async () => {
  await of.listed('web', WANTED, of.context.clock.nowMs());
  await of.decided('web', {}, [entry('start', 'web', { id: 's1', reason: 'missing' })]);
  const child = hmChild(['watch', '--json', '--config', config()]);
  const sent = entry('sent', 'web', { id: 's1', reason: 'missing' });
  // Until it has begun nobody knows; then all that is written comes, once each.
  await expect
    .poll(
      async () => {
        await of.decided('web', {}, [sent]);
        return child.said.stdout;
      },
      { timeout: 20_000, interval: 100 },
    )
    .not.toBe('');
  child.process.kill('SIGTERM');
  expect(await child.ended).toBe(0);
  for (const line of child.said.stdout.trimEnd().split('\n')) expect(JSON.parse(line)).toEqual(sent);
});

test('names from outside do not act on the terminal', async () => {
  await of.listed('web', WANTED, of.context.clock.nowMs());
  await of.decided('web', {}, [entry('up', 'web', { state: '\x1b[2J', dea: 'dea-7', instance: 'i' })]);
  const child = hmChild(['watch', '-n', '1', '--config', config()]);
  await child.says('on dea-7');
  child.process.kill('SIGINT');
  await child.ended;
  expect(child.said.stdout).not.toContain('\x1b');
});

test('ends when nobody reads any more', async () => {
  await of.listed('web', WANTED, of.context.clock.nowMs());
  const child = hmChild(['watch', '--json', '-n', '1', '--config', config()]);
  await of.decided('web', {}, [entry('updated', 'web')]);
  await child.says('updated');
  child.process.stdout?.destroy();
  await of.decided('web', {}, [entry('updated', 'web')]);
  expect(await child.ended).toBe(0);
});

test('goes on over an outage of Redis; one that is away to begin with is a failure', async () => {
  await of.listed('web', WANTED, of.context.clock.nowMs());
  const redis = await startTestRedis();
  let back: TestRedis | undefined;
  const { keys, client } = of.context.redis;
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
      of.file(`redis: { url: ${redis.url} }`),
    ]);
    await child.says('"kind":"updated"');
    await redis.stop();
    await expect.poll(() => child.said.stderr, { timeout: 20_000 }).toContain('tried again every second');
    back = await startTestRedis(redis.port);
    // A Redis that comes back empty begins its ids anew, later than those before.
    await there((other) => other.xadd(stream, '*', 'entry', update.replace('updated', 'listed')));
    await child.says('"kind":"listed"');
    child.process.kill('SIGINT');
    expect(await child.ended).toBe(0);
  } finally {
    await redis.stop();
    await back?.stop();
  }
  const late = hmChild(['watch', '--config', of.file(`redis: { url: ${redis.url} }`)]);
  expect(await late.ended).toBe(1);
  expect(late.said.stderr).toMatch(/^hm: Redis at 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
});
