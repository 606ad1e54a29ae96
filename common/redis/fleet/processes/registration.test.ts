import { expect, test } from 'vitest';
import { testContext, useRedis } from '../../../testing/context.ts';
import { ENDED_KEPT_MS, readProcesses, storeProcess } from './processes.ts';
import { Registration } from './registration.ts';

const of = useRedis();
const entries = async () => [...(await readProcesses(of.context.redis)).values()];

async function register() {
  const context = await testContext({ redis: of.server, clock: of.context.clock });
  return { context, registration: new Registration({ kind: 'nudger', ...context, takeLagMs: () => 7.4 }) };
}

test('a process writes what it is, its last work and what it waits for; at its stop when it ended', async () => {
  const { context, registration } = await register();
  const { clock } = of.context;
  const sinceMs = clock.nowMs();
  clock.advance(5_000);
  context.work.done();
  clock.advance(2_000);
  await registration.write();
  expect(await entries()).toMatchObject([
    {
      ...{ kind: 'nudger', pid: process.pid, sinceMs, seenMs: sinceMs + 7_000 },
      ...{ lastWorkMs: sinceMs + 5_000, lagMs: 7 },
    },
  ]);
  expect((await entries())[0]?.problems).toBeUndefined();
  context.health.set('nats', 'not connected yet');
  await registration.write();
  clock.advance(3_000);
  await registration.write();
  expect(await entries()).toMatchObject([
    { problems: { nats: 'not connected yet' }, problemSinceMs: sinceMs + 7_000 },
  ]);
  context.health.set('nats', undefined);
  clock.advance(1_000);
  await context.lifecycle.stop();
  expect(await entries()).toMatchObject([{ stoppedMs: sinceMs + 11_000, seenMs: sinceMs + 11_000 }]);
});

test('entries of ended processes are removed, but the latest of each kind', async () => {
  const { redis, clock } = of.context;
  const old = clock.nowMs();
  const entry = { host: 'h', pid: 1, version: '1', sinceMs: old, lagMs: 0 };
  await storeProcess(redis, 'old', { ...entry, kind: 'nudger', seenMs: old });
  await storeProcess(redis, 'sync', { ...entry, kind: 'sync', seenMs: old });
  await redis.client.hset(redis.keys.processes, 'edited', '{');
  clock.advance(ENDED_KEPT_MS + 1);
  const { context, registration } = await register();
  await registration.write();
  expect((await entries()).map(({ kind }) => kind).sort()).toEqual(['nudger', 'sync']);
  expect(await redis.client.hexists(redis.keys.processes, 'edited')).toBe(0);
  await context.lifecycle.stop();
});

test('a key that somebody made another type of is written anew, and the failure is logged', async () => {
  const { redis } = of.context;
  const { context, registration } = await register();
  await registration.write();
  await redis.client.del(redis.keys.processes);
  await redis.client.set(redis.keys.processes, 'x');
  await registration.write();
  await registration.write();
  expect(await entries()).toMatchObject([{ kind: 'nudger' }]);
  expect(context.lines.map(({ event }) => event)).toContain('process_not_registered');
  await context.lifecycle.stop();
});
