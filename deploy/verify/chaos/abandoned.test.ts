import { connect } from 'nats';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { connectBus } from '../../../common/nats/connect.ts';
import { Health } from '../../../common/runtime/health.ts';
import { Lifecycle } from '../../../common/runtime/lifecycle.ts';
import { captureLog } from '../../../common/testing/context.ts';
import { startNats } from '../../../common/testing/nats.ts';
import { TcpProxy } from './proxy.ts';

test('what waits on a stalled way is lost with the connection that is given up, and the next one is made at once', async () => {
  const lifecycle = new Lifecycle();
  try {
    const nats = lifecycle.own('nats', await startNats(), (server) => server.stop());
    const proxy = lifecycle.own('proxy', await TcpProxy.start(nats.port), (open) => open.close());
    const heard: string[] = [];
    const ears = lifecycle.own('ears', await connect({ servers: nats.url }), (open) => open.close());
    ears.subscribe('said', { callback: (_, message) => void heard.push(message.string()) });
    await ears.flush();
    const bus = await connectBus({
      mbus: { servers: [`127.0.0.1:${proxy.port}`], tls: false },
      ...{ name: 'test', log: captureLog().log, health: new Health(), lifecycle, metrics: new Registry() },
    });
    const states: string[] = [];
    bus.onLost(() => states.push('lost'));
    bus.onRestored(() => states.push('restored'));

    proxy.way = { kind: 'stalled' };
    bus.publish('said', 'too late');
    const arrived = bus.flush();
    await new Promise(setImmediate); // now it is asked for
    await new Promise(setImmediate);
    bus.abandon();
    await expect(arrived).rejects.toMatchObject({ kind: 'disconnected' });
    proxy.way = { kind: 'open' };
    await expect.poll(() => states, { timeout: 5_000 }).toEqual(['lost', 'restored']);
    bus.publish('said', 'in time');
    await expect.poll(() => heard).toEqual(['in time']);
  } finally {
    await lifecycle.stop();
  }
});
