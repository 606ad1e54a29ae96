import { totalmem } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openQueue } from '../../common/queues/queues.ts';
import { NOW, SECOND } from '../../common/testing/builders.ts';
import { type Bench, STATUS, startBench } from '../../deploy/verify/fixtures/reporter.ts';

let bench: Bench;
let base: string;

beforeAll(async () => {
  bench = await startBench(NOW);
  base = `http://127.0.0.1:${bench.reporter.port}`;
});

afterAll(() => bench.stop());

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

async function get(
  path: string,
  headers: Record<string, string> = basic(STATUS.user, STATUS.password),
  method = 'GET',
) {
  const reply = await fetch(base + path, { headers, method });
  const body = await reply.text();
  return { status: reply.status, body, json: () => JSON.parse(body) };
}

describe('/varz', () => {
  test('of an empty cloud', async () => {
    expect((await get('/varz')).json()).toMatchObject({
      type: 'HealthManager',
      index: 3,
      host: `127.0.0.1:${bench.reporter.port}`,
      start: '2014-05-13 16:53:20 +0000',
      uptime: '0d:0h:0m:0s',
      state: 'RUNNING',
      num_cores: expect.any(Number),
      mem: expect.any(Number),
      cpu: expect.any(Number),
      total_users: 0,
      queue_length: 0,
      analysis_loop_duration: 0,
      bulk_update_loop_duration: 0,
      healthmanager_droplet_request_msgs_received: 0,
    });
  });

  test('counts of the whole deployment, summed over all processes', async () => {
    const { redis, lifecycle, log } = bench.context;
    const { client, keys } = redis;
    const summary = {
      droplets: 10,
      apps: 9,
      instances: 30,
      memory_mb: 3000,
      started_apps: 8,
      started_instances: 20,
      started_memory_mb: 2000,
      running: 15,
      missing: 5,
      flapping: 2,
      crashed: 4,
      started_crashed: 3,
      duration_ms: 1500,
    };
    await client.hset(keys.summary(0), summary);
    await client.hset(keys.summary(7), { ...summary, missing: 6 });
    // More troubled droplets than are read, so that the totals of the audits count.
    const troubled = Array.from({ length: 201 }, (_, n) => [1, `droplet-${n}`]).flat();
    await client.zadd(keys.troubled(0), ...troubled);
    await client.hset(keys.syncState, { users: 42, duration_ms: 2500 });
    await client.hset(keys.counters, {
      heartbeat_msgs_received: 1000,
      droplet_exited_msgs_received: 20,
      droplet_updated_msgs_received: 30,
      health_start_messages_sent: 40,
      health_stop_messages_sent: 50,
      healthmanager_status_msgs_received: 60,
      healthmanager_health_request_msgs_received: 70,
    });
    const starts = openQueue(redis, lifecycle, log, 'starts');
    const restarts = openQueue(redis, lifecycle, log, 'restarts');
    await starts.add('s', {}, { priority: 10 });
    await starts.add('s', {});
    await restarts.add('s', {}, { delay: 3_600_000 });
    await openQueue(redis, lifecycle, log, 'stops').add('s', {});

    expect((await get('/varz')).json()).toMatchObject({
      total_apps: 18,
      total_instances: 60,
      running_instances: 30,
      missing_instances: 11,
      crashed_instances: 8,
      flapping_instances: 4,
      running: { apps: 16, crashes: 6, running_instances: 30, missing_instances: 11, flapping_instances: 4 },
      total: {
        apps: 18,
        started_apps: 16,
        instances: 60,
        started_instances: 40,
        memory: 6000,
        started_memory: 4000,
      },
      total_users: 42,
      queue_length: 4,
      heartbeat_msgs_received: 1000,
      droplet_exited_msgs_received: 20,
      droplet_updated_msgs_received: 30,
      health_start_messages_sent: 40,
      health_stop_messages_sent: 50,
      healthmanager_status_msgs_received: 60,
      healthmanager_health_request_msgs_received: 70,
      analysis_loop_duration: 3,
      bulk_update_loop_duration: 2.5,
    });
  });

  test('what the collector of Cloud Foundry reads of every component', async () => {
    const found = (await get('/varz')).json();
    const { mem, mem_bytes, mem_used_bytes, mem_free_bytes, cpu_load_avg, log_counts } = found;
    for (const figure of [mem_bytes, mem_used_bytes, mem_free_bytes]) expect(figure).toBeGreaterThan(1e6);
    expect(mem_bytes / 1024).toBeCloseTo(mem, -1);
    expect(mem_used_bytes + mem_free_bytes).toBe(totalmem());
    expect(cpu_load_avg).toBeGreaterThanOrEqual(0);
    expect(Object.keys(log_counts)).toEqual(['fatal', 'error', 'warn', 'info', 'debug', 'trace']);
    for (const count of Object.values(log_counts)) expect(count).toEqual(expect.any(Number));
    // Every reader of the registration adds tags of these.
    expect(found).toMatchObject({ type: 'HealthManager', index: 3, uuid: expect.stringMatching(/^3-/) });
  });

  test('uptime', async () => {
    bench.clock.set(NOW + (((2 * 24 + 3) * 60 + 4) * 60 + 5) * SECOND);
    expect((await get('/varz')).json().uptime).toBe('2d:3h:4m:5s');
    bench.clock.set(NOW);
  });
});

describe('holds and DEAs', () => {
  test('holds that are on, since when, for how many droplets', async () => {
    const { client, keys } = bench.context.redis;
    const fleet = async () => (await get('/api/fleet')).json();
    expect((await fleet()).holds).toEqual([
      { hold: 'desired_unavailable', sinceMs: null, droplets: 0 },
      { hold: 'actual_not_fresh', sinceMs: null, droplets: 0 },
    ]);

    await client.hset(keys.listening, { since: NOW - 100 * SECOND, until: NOW - 20 * SECOND });
    await client.hset(keys.syncState, { completed: NOW - 201 * SECOND, succeeded: NOW - 200 * SECOND });
    await client.hset(
      keys.holds,
      'mass_loss',
      JSON.stringify({ sinceMs: NOW - 3 * SECOND, lateDeas: ['d'] }),
    );
    await client.hset(
      keys.holds,
      'mass_delete',
      JSON.stringify({ sinceMs: NOW - 4 * SECOND, accepted: 100, listed: 0 }),
    );
    await client.hset(keys.summary(1), { held_mass_loss: 7, held_update_required: 1 });
    await client.hset(keys.summary(2), { held_mass_loss: 3 });
    expect((await fleet()).holds).toEqual([
      { hold: 'desired_unavailable', sinceMs: NOW - 20 * SECOND, droplets: 0 },
      { hold: 'update_required', sinceMs: null, droplets: 1 },
      { hold: 'actual_not_fresh', sinceMs: NOW - 20 * SECOND, droplets: 0 },
      { hold: 'mass_loss', sinceMs: NOW - 3 * SECOND, droplets: 10 },
      { hold: 'mass_delete', sinceMs: NOW - 4 * SECOND, droplets: 0 },
    ]);

    await client.hset(keys.listening, { since: NOW - 100 * SECOND, until: NOW });
    await client.hset(keys.syncState, { completed: NOW - 2 * SECOND, succeeded: NOW - SECOND });
    await client.del(keys.holds, keys.summary(1), keys.summary(2));
    expect((await fleet()).holds).toEqual([]);
  });

  test('actual_not_fresh while ingestors have not been subscribed for long enough', async () => {
    const { client, keys } = bench.context.redis;
    await client.hset(keys.listening, { since: NOW - 5 * SECOND, until: NOW });
    expect((await get('/api/fleet')).json().holds).toEqual([
      { hold: 'actual_not_fresh', sinceMs: NOW - 5 * SECOND, droplets: 0 },
    ]);
  });

  test('holds are logged', async () => {
    const logged = () =>
      bench.context.lines.filter(({ event, hold }) => event === 'hold_on' && hold !== undefined);
    await expect
      .poll(logged)
      .toContainEqual(expect.objectContaining({ hold: 'actual_not_fresh', droplets: expect.any(Number) }));
  });

  test('DEAs by the age of their last heartbeat', async () => {
    const { client, keys } = bench.context.redis;
    const silences = [0, 10, 20, 20.001, 30, 30.001, 100];
    for (const s of silences) await client.zadd(keys.deasLastHeartbeat, NOW - s * SECOND, `dea-${s}`);
    expect((await get('/api/fleet')).json().deas).toEqual({
      ...{ alive: 3, late: 2, lost: 2, leaving: 0, left: 0 },
    });
  });

  test('holds and DEAs are in the metrics too', async () => {
    await bench.context.redis.client.hset(bench.context.redis.keys.summary(3), { held_actual_not_fresh: 9 });
    const { body } = await get('/metrics');
    expect(body).toMatch(/^hm_hold_on\{hold="actual_not_fresh"\} 1$/m);
    expect(body).toMatch(/^hm_hold_on\{hold="mass_loss"\} 0$/m);
    expect(body).toMatch(/^hm_hold_droplets\{hold="actual_not_fresh"\} 9$/m);
    expect(body).toMatch(/^hm_hold_since_timestamp_seconds\{hold="actual_not_fresh"\} 1399999995$/m);
    // It is not known what runs.
    expect(body).not.toMatch(/^hm_deas\{/m);
    expect(body).not.toMatch(/^hm_fleet\{what="missing"\}/m);
    expect(body).toMatch(/^hm_fleet\{what="apps"\} 18$/m);
    const { client, keys } = bench.context.redis;
    await client.hset(keys.listening, { since: NOW - 100 * SECOND, until: NOW });
    const known = (await get('/metrics')).body;
    expect(known).toMatch(/^hm_deas\{state="lost"\} 2$/m);
    expect(known).toMatch(/^hm_deas\{state="left"\} 0$/m);
    expect(known).toMatch(/^hm_fleet\{what="missing"\} 11$/m);
    expect(known).toMatch(/^hm_processes\{kind="nudger"\} 0$/m);
  });
});
