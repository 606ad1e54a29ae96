import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, headers, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startNats } from '../../../../common/testing/nats/server.ts';
import { writeNatsConfig } from '../../chaos/nats-config.ts';
import { Random } from '../../chaos/random.ts';
import { Host } from './host.ts';
import { VirtualNatsServer } from './nats-server.ts';
import { VirtualNetwork } from './virtual-network.ts';
import { VirtualTime } from './virtual-time.ts';

const PORT = 4222;

/** A server, and how clients reach it. */
interface Stage {
  connect(): Promise<NatsConnection>;
  /** No client may subscribe these from now on. */
  deny(subjects: readonly string[]): void;
  stop(): Promise<void>;
}

async function real(): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'hm-simulate-nats-'));
  const file = join(dir, 'nats.conf');
  const limit = (denied: readonly string[]) => writeNatsConfig(file, { denied, withoutHeaders: false });
  limit([]);
  const server = await startNats({ args: ['--config', file] });
  return {
    connect: () => connect({ servers: server.url }),
    deny: (subjects) => {
      limit(subjects);
      process.kill(server.pid, 'SIGHUP');
    },
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true });
    },
  };
}

async function virtual(): Promise<Stage> {
  const network = new VirtualNetwork(new VirtualTime());
  const server = new VirtualNatsServer(new Random(1));
  network.serve(PORT, server.accept);
  network.install();
  const host = new Host('client');
  return {
    connect: () => host.within(() => connect({ servers: `127.0.0.1:${PORT}` })),
    deny: (subjects) => {
      server.isDenied = (_, subject) => subjects.includes(subject);
    },
    stop: async () => network.restore(),
  };
}

// The processes use these features of a server, and no others.
describe.each([
  { name: 'nats-server', start: real },
  { name: 'the virtual server', start: virtual },
])('$name', ({ start }) => {
  let stage: Stage;
  let one: NatsConnection;
  let other: NatsConnection;

  beforeAll(async () => {
    stage = await start();
    [one, other] = [await stage.connect(), await stage.connect()];
  });
  afterAll(async () => {
    await Promise.all([one.close(), other.close()]);
    await stage.stop();
  });

  /** Both connections have sent and received everything. */
  const flush = async () => {
    await one.flush();
    await other.flush();
  };

  test('messages of one publisher keep their order, with headers and any bytes', async () => {
    const received: string[] = [];
    const subscription = other.subscribe('order', {
      callback: (_, message) =>
        void received.push(
          `${message.headers?.get('hm-reason') ?? '-'} ${Buffer.from(message.data).toString('hex')}`,
        ),
    });
    await flush();
    const set = headers();
    set.set('hm-reason', 'missing');
    one.publish('order', new Uint8Array([13, 10, 0, 255]));
    one.publish('order', new Uint8Array(), { headers: set });
    one.publish('order', 'x'.repeat(70_000));
    await flush();
    expect(received.map((text) => text.slice(0, 20))).toEqual([
      '- 0d0a00ff',
      'missing ',
      `- ${'78'.repeat(9)}`,
    ]);
    subscription.unsubscribe();
  });

  test('wildcards', async () => {
    const received: string[] = [];
    const subscriptions = ['a.*.c', 'a.>', '*'].map((pattern) =>
      other.subscribe(pattern, {
        callback: (_, { subject }) => void received.push(`${pattern}: ${subject}`),
      }),
    );
    await flush();
    for (const subject of ['a.b.c', 'a.b', 'a', 'a.b.c.d', 'b.b.c']) one.publish(subject);
    await flush();
    expect(received.sort()).toEqual(['*: a', 'a.*.c: a.b.c', 'a.>: a.b', 'a.>: a.b.c', 'a.>: a.b.c.d']);
    for (const subscription of subscriptions) subscription.unsubscribe();
  });

  test('one member of each queue group gets a message, and each subscriber without a group', async () => {
    const received = new Map<string, number>();
    const count = (name: string) => () => void received.set(name, (received.get(name) ?? 0) + 1);
    const subscriptions = [
      one.subscribe('work', { queue: 'first', callback: count('first') }),
      other.subscribe('work', { queue: 'first', callback: count('first') }),
      other.subscribe('work', { queue: 'second', callback: count('second') }),
      one.subscribe('work', { callback: count('alone') }),
    ];
    await flush();
    for (let n = 0; n < 20; n++) other.publish('work');
    await flush();
    await flush();
    expect(Object.fromEntries(received)).toEqual({ first: 20, second: 20, alone: 20 });
    for (const subscription of subscriptions) subscription.unsubscribe();
  });

  test('requests, and a subject without a subscriber', async () => {
    const subscription = other.subscribe('ask', { callback: (_, message) => void message.respond('answer') });
    await flush();
    expect((await one.request('ask', '', { timeout: 5_000 })).string()).toBe('answer');
    subscription.unsubscribe();
    await flush();
    await expect(one.request('ask', '', { timeout: 5_000 })).rejects.toMatchObject({ code: '503' });
  });

  test('a subscription that is limited to some messages ends after them', async () => {
    let received = 0;
    const subscription = other.subscribe('limited', { callback: () => void received++ });
    subscription.unsubscribe(2);
    await flush();
    for (let n = 0; n < 5; n++) one.publish('limited');
    await flush();
    expect(received).toBe(2);
  });

  test('a subscription that is denied ends with an error, and one that begins is refused; once allowed, one that begins receives', async () => {
    const refused: string[] = [];
    const received: string[] = [];
    const subscribe = (name: string, queue?: string) =>
      other.subscribe('secret', {
        ...(queue !== undefined && { queue }),
        callback: (error, message) => {
          if (error === null) received.push(`${name} ${message.string()}`);
          else
            refused.push(`${name} ${error.permissionContext?.operation} ${error.permissionContext?.subject}`);
        },
      });
    subscribe('before');
    await flush();
    stage.deny(['secret']);
    await vi.waitFor(() => expect(refused).toEqual(['before subscription secret']), 5_000);
    subscribe('denied', 'group');
    await flush();
    one.publish('secret', '1');
    await flush();
    expect(refused).toEqual(['before subscription secret', 'denied subscription secret']);
    stage.deny([]);
    await vi.waitFor(async () => {
      const allowed = subscribe('allowed');
      await flush();
      one.publish('secret', '2');
      await flush();
      allowed.unsubscribe();
      expect(received).toContain('allowed 2');
    }, 5_000);
    expect(received.filter((text) => !text.startsWith('allowed'))).toEqual([]);
  });
});
