import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MbusSettings } from '../config/settings.ts';
import { Health } from '../runtime/health.ts';
import { Lifecycle } from '../runtime/lifecycle/lifecycle.ts';
import { captureLog, metricValue } from '../testing/context.ts';
import { startNats, type TestNats } from '../testing/nats/server.ts';
import { type Bus, BusError } from './bus.ts';
import { connectBus } from './connection/connect.ts';

let lifecycle: Lifecycle;
let health: Health;
let metrics: Registry;
let nats: TestNats | undefined;
const { log, lines } = captureLog();

beforeEach(() => {
  lifecycle = new Lifecycle();
  health = new Health();
  metrics = new Registry();
  lines.length = 0;
});
afterEach(async () => {
  await lifecycle.stop();
  await nats?.stop();
  nats = undefined;
});

const connect = (mbus: Partial<MbusSettings> = {}): Promise<Bus> =>
  connectBus({
    mbus: { servers: [`127.0.0.1:${nats?.port}`], tls: false, ...mbus },
    name: 'test',
    log,
    health,
    lifecycle,
    metrics,
  });
const count = (name: string, labels: Record<string, string> = {}) => metricValue(metrics, name, labels);
const events = (event: string) => lines.filter((line) => line.event === event);
const until = (condition: () => void | Promise<void>) =>
  vi.waitFor(condition, { timeout: 15_000, interval: 10 });

it('publishes without headers where the server has none, and takes an unanswered request for no proof', async () => {
  nats = await startNats({ withoutHeaders: true });
  const bus = await connect();
  const got: string[] = [];
  bus.subscribe('a.*', {}, ({ data }) => got.push(Buffer.from(data).toString()));
  bus.publish('a.b', 'x', { 'hm-reason': 'missing' });
  await bus.flush();
  expect(got).toEqual(['x']);
  expect(await bus.answers('nobody', { timeoutMs: 1_000 })).toBe(true);
});

describe('messages', () => {
  let bus: Bus;
  beforeEach(async () => {
    nats = await startNats();
    bus = await connect();
  });

  it('arrive as bytes, with their headers', async () => {
    const got: [string, Uint8Array, string | undefined][] = [];
    bus.subscribe('a.*', {}, ({ subject, data, headers }) =>
      got.push([subject, data, headers?.get('hm-reason')]),
    );
    bus.publish('a.b', 'é', { 'hm-reason': 'missing' });
    bus.publish('a.c', Uint8Array.of(0xff));
    bus.publish('a.d');
    await bus.flush();
    expect(got.map(([subject, data, reason]) => [subject, [...data], reason])).toEqual([
      ['a.b', [0xc3, 0xa9], 'missing'],
      ['a.c', [0xff], undefined],
      ['a.d', [], undefined],
    ]);
  });

  it('go to one member of a queue group', async () => {
    const got: string[] = [];
    for (const name of ['1', '2']) bus.subscribe('x', { queue: 'q' }, () => got.push(name));
    for (let i = 0; i < 20; i++) bus.publish('x');
    await bus.flush();
    expect(got).toHaveLength(20);
  });

  it('whose handler fails are counted, and the next message is handled', async () => {
    const got: string[] = [];
    bus.subscribe('x', {}, (message) => {
      got.push(message.string());
      if (message.string() === 'throw') throw new Error('thrown');
      return message.string() === 'reject' ? Promise.reject(new Error('rejected')) : undefined;
    });
    for (const text of ['throw', 'reject', 'good']) bus.publish('x', text);
    await bus.flush();
    expect(got).toEqual(['throw', 'reject', 'good']);
    await until(async () => expect(await count('hm_handler_errors_total', { subject: 'other' })).toBe(2));
    // The rate limit holds the second line back.
    expect(lines.filter((line) => line.reason === 'handler of x')).toMatchObject([
      { err: { message: 'thrown' } },
    ]);
  });

  it('are answered', async () => {
    bus.subscribe('echo', {}, (message) => message.respond(message.data));
    const reply = await bus.request('echo', 'hello', { timeoutMs: 5_000 });
    expect(reply.string()).toBe('hello');
    expect(await bus.answers('echo', { timeoutMs: 1_000 })).toBe(true);
  });

  it('without a subscriber are distinguished from messages without an answer', async () => {
    bus.subscribe('silent', {}, () => {});
    await expect(bus.request('nobody', '', { timeoutMs: 5_000 })).rejects.toMatchObject({
      kind: 'no_responders',
    });
    await expect(bus.request('silent', '', { timeoutMs: 20 })).rejects.toMatchObject({ kind: 'timeout' });
    expect(await bus.answers('nobody', { timeoutMs: 1_000 })).toBe(false);
    expect(await bus.answers('silent', { timeoutMs: 1_000 })).toBe(true);
  });

  it('that were received are handled before the bus closes', async () => {
    const other = await connect();
    const got: string[] = [];
    other.subscribe('x', {}, (message) => got.push(message.string()));
    await other.flush();
    bus.publish('x', 'last');
    await bus.flush();
    await other.close();
    expect(got).toEqual(['last']);
    expect(other.connected()).toBe(false);
    expect(() => other.publish('x')).toThrow(BusError);
    expect(events('nats_disconnected')).toEqual([]);
  });
});

describe('a server that ends', () => {
  it('is retried; the loss and the reconnect are logged once each', async () => {
    nats = await startNats();
    const { port } = nats;
    const bus = await connect();
    const notified: string[] = [];
    bus.onLost(() => notified.push('lost'));
    bus.onRestored(() => notified.push('restored'));
    const got: string[] = [];
    bus.subscribe('x', { queue: 'q' }, (message) => got.push(message.string()));
    await bus.flush();
    expect([bus.connected(), health.ready(), await count('hm_nats_connected')]).toEqual([true, true, 1]);

    await nats.kill();
    await until(() => expect(bus.connected()).toBe(false));
    expect(notified).toEqual(['lost']);
    expect(health.problems().get('nats')).toBe(`connection to 127.0.0.1:${port} lost`);
    expect(() => bus.publish('x', 'never sent')).toThrow(BusError);
    await expect(bus.request('x', '', { timeoutMs: 50 })).rejects.toMatchObject({ kind: 'disconnected' });
    await expect(bus.flush()).rejects.toMatchObject({ kind: 'disconnected' });

    nats = await startNats({ port });
    await until(() => expect(bus.connected()).toBe(true));
    expect(notified).toEqual(['lost', 'restored']);
    bus.publish('x', 'sent');
    await bus.flush();
    expect(got).toEqual(['sent']);
    expect(health.ready()).toBe(true);
    expect([events('nats_disconnected').length, events('nats_reconnected').length]).toEqual([1, 1]);
    expect(await count('hm_nats_losses_total')).toBe(1);
  });

  it('is found again when the wall clock was set back meanwhile', async () => {
    nats = await startNats();
    const { port } = nats;
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    const bus = await connect().finally(() => clock.mockRestore());
    await nats.kill();
    await until(() => expect(bus.connected()).toBe(false));
    nats = await startNats({ port });
    await until(() => expect(bus.connected()).toBe(true));
  });

  it('is noticed even when it does not close its connections', async () => {
    nats = await startNats();
    const bus = await connect();
    nats.pause();
    const began = performance.now();
    await until(() => expect(bus.connected()).toBe(false));
    expect(performance.now() - began).toBeLessThan(10_000);
    nats.resume();
    await until(() => expect(bus.connected()).toBe(true));
  });

  it('does not keep the bus from closing', async () => {
    nats = await startNats();
    const bus = await connect();
    await nats.kill();
    await until(() => expect(bus.connected()).toBe(false));
    await lifecycle.stop();
    expect(bus.connection.isClosed()).toBe(true);
  });
});

describe('a server that does not listen yet', () => {
  it('is retried, which is logged once', async () => {
    const first = await startNats();
    const { port } = first;
    await first.stop();
    const connecting = connect({ servers: [`127.0.0.1:${port}`] });
    await until(() => expect(events('nats_disconnected')).toHaveLength(1));
    expect(health.problems().get('nats')).toMatch(
      new RegExp(`^127\\.0\\.0\\.1:${port}: .*CONNECTION_REFUSED`),
    );
    nats = await startNats({ port });
    const bus = await connecting;
    expect([bus.connected(), health.ready()]).toEqual([true, true]);
    expect(events('nats_disconnected')).toHaveLength(1);
  });

  it('is not retried after the process stops', async () => {
    const first = await startNats();
    await first.stop();
    const connecting = connect({ servers: [`127.0.0.1:${first.port}`] });
    const ended = expect(connecting).rejects.toMatchObject({ kind: 'disconnected' });
    await until(() => expect(events('nats_disconnected')).toHaveLength(1));
    await lifecycle.stop();
    await ended;
  });
});

describe('a server that demands a login', () => {
  it('gets user and password', async () => {
    nats = await startNats({ args: ['--user', 'u', '--pass', 'p w'] });
    const bus = await connect({ user: 'u', password: 'p w' });
    expect(bus.connected()).toBe(true);
  });

  it('gets a token', async () => {
    nats = await startNats({ args: ['--auth', 's3cr3t'] });
    const bus = await connect({ token: 's3cr3t' });
    expect(bus.connected()).toBe(true);
  });

  it('and refuses it is retried, without a secret in the log', async () => {
    nats = await startNats({ args: ['--auth', 's3cr3t'] });
    const connecting = connect({ token: 'hunter2' });
    const ended = expect(connecting).rejects.toBeInstanceOf(BusError);
    await until(() => expect(health.problems().get('nats')).toMatch(/authorization/i));
    await lifecycle.stop();
    await ended;
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });

  it('but has no TLS although the settings demand it is not used', async () => {
    nats = await startNats();
    const connecting = connect({ tls: true });
    const ended = expect(connecting).rejects.toBeInstanceOf(BusError);
    await until(() => expect(health.problems().get('nats')).toMatch(/tls/));
    await lifecycle.stop();
    await ended;
  });

  it('and forbids a subject reports it, which is counted', async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'hm-bus-'));
    try {
      const config = path.join(dir, 'nats.conf');
      writeFileSync(
        config,
        'authorization { users: [{user: u, password: p, permissions: {publish: "a", subscribe: "b"}}] }',
      );
      nats = await startNats({ args: ['-c', config] });
      const bus = await connect({ user: 'u', password: 'p' });
      bus.publish('forbidden');
      bus.subscribe('forbidden', {}, () => {});
      await bus.flush();
      await until(async () => expect(await count('hm_nats_errors_total', { kind: 'permission' })).toBe(2));
      expect(bus.connected()).toBe(true);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
