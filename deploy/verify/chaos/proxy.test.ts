import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from './proxy.ts';

let server: Server;
let proxy: TcpProxy;
let client: Socket;
let received: string;
let closed: Promise<void>;

/** The server echoes every byte. */
beforeEach(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.start((server.address() as AddressInfo).port);
  await open();
});
afterEach(async () => {
  client.destroy();
  await proxy.close();
  server.close();
  await once(server, 'close');
});

/** Resolves when the connection is open or has ended. */
async function open(): Promise<void> {
  received = '';
  client = connect(proxy.port, '127.0.0.1');
  client.on('error', () => undefined);
  closed = new Promise((resolve) => client.once('close', () => resolve()));
  client.on('data', (data) => {
    received += data.toString();
  });
  await Promise.race([new Promise((resolve) => client.once('connect', resolve)), closed]);
}

const sendAndAwaitEcho = async (text: string) => {
  client.write(text);
  await expect.poll(() => received).toContain(text);
};

test('mode open passes every byte', async () => {
  await sendAndAwaitEcho('x'.repeat(3_000_000));
  expect(received).toHaveLength(3_000_000);
});

test('mode slow delays every byte and keeps the order', async () => {
  proxy.mode = { kind: 'slow', delayMs: 60 };
  const beganMs = performance.now();
  client.write('one ');
  setTimeout(() => client.write('two '), 10);
  await expect.poll(() => received).toBe('one two ');
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(119);
});

test('mode stalled passes nothing until the mode is open again', async () => {
  await sendAndAwaitEcho('before');
  proxy.mode = { kind: 'stalled' };
  client.write('meanwhile');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(received).toBe('before');
  proxy.mode = { kind: 'open' };
  await expect.poll(() => received).toBe('beforemeanwhile');
});

test('pending bytes are lost when the client closes its connection', async () => {
  await sendAndAwaitEcho('before');
  const arrived: string[] = [];
  server.on('connection', (socket) => socket.on('data', (data) => arrived.push(data.toString())));
  await open();
  await sendAndAwaitEcho('a');
  proxy.mode = { kind: 'stalled' };
  client.write('lost');
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.resetAndDestroy();
  await closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.mode = { kind: 'open' };
  await open();
  await sendAndAwaitEcho('b');
  expect(arrived).toEqual(['a', 'b']);
});

test('a cut ends the connection after the given number of bytes', async () => {
  proxy.cut(5);
  client.write('123456789');
  await closed;
  expect(received.length).toBeLessThanOrEqual(5);
  await open();
  await sendAndAwaitEcho('again');
});

test('mode closed resets new connections, and mode replies answers in place of the server', async () => {
  proxy.mode = { kind: 'closed' };
  await open();
  await closed;
  proxy.mode = { kind: 'replies', text: 'nonsense' };
  await open();
  client.write('GET / HTTP/1.1');
  await closed;
  expect(received).toBe('nonsense');
});
