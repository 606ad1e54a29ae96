import { connect } from 'nats';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { connectBus } from '../../../common/nats/connection/connect.ts';
import { Health } from '../../../common/runtime/health.ts';
import { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { captureLog } from '../../../common/testing/context.ts';
import { startNats } from '../../../common/testing/nats/server.ts';
import { TcpProxy } from './proxy.ts';

test('abandon loses the messages of a stalled connection and reconnects at once', async () => {
  const lifecycle = new Lifecycle();
  try {
    const nats = lifecycle.own('nats', await startNats(), (server) => server.stop());
    const proxy = lifecycle.own('proxy', await TcpProxy.start(nats.port), (open) => open.close());
    const received: string[] = [];
    const subscriber = lifecycle.own('subscriber', await connect({ servers: nats.url }), (open) =>
      open.close(),
    );
    subscriber.subscribe('test', { callback: (_, message) => void received.push(message.string()) });
    await subscriber.flush();
    const bus = await connectBus({
      mbus: { servers: [`127.0.0.1:${proxy.port}`], tls: false },
      ...{ name: 'test', log: captureLog().log, health: new Health(), lifecycle, metrics: new Registry() },
    });
    const states: string[] = [];
    bus.onLost(() => states.push('lost'));
    bus.onRestored(() => states.push('restored'));

    proxy.mode = { kind: 'stalled' };
    bus.publish('test', 'too late');
    const flushed = bus.flush();
    await new Promise(setImmediate); // the PING of the flush leaves
    await new Promise(setImmediate);
    bus.abandon();
    await expect(flushed).rejects.toMatchObject({ kind: 'disconnected' });
    await expect.poll(() => proxy.ended).toBe(1);
    proxy.mode = { kind: 'open' };
    await expect.poll(() => states).toEqual(['lost', 'restored']);
    bus.publish('test', 'in time');
    await expect.poll(() => received).toEqual(['in time']);
  } finally {
    await lifecycle.stop();
  }
});
