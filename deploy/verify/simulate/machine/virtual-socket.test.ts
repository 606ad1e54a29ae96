import { once } from 'node:events';
import { createRequire } from 'node:module';
import type net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Host } from './host.ts';
import { VirtualNetwork } from './virtual-network.ts';
import { VirtualTime } from './virtual-time.ts';

const PORT = 4222;
const network = new VirtualNetwork(new VirtualTime());
afterEach(() => network.restore());

test('a connection that is reset as soon as it is there fails where its owner listens for errors after the connect', async () => {
  network.serve(PORT, (socket) => {
    process.nextTick(() => socket.farEndClosed('ECONNRESET'));
    return { received: () => undefined, closed: () => undefined };
  });
  network.install();
  const { createConnection } = createRequire(import.meta.url)('node:net') as typeof net;
  const socket = new Host('client').within(() => createConnection(PORT));
  await once(socket, 'connect');
  const [error] = await once(socket, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});
