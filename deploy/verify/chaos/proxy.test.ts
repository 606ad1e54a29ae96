import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from './proxy.ts';

let server: Server;
let proxy: TcpProxy;
let client: Socket;
let heard: string;
let closed: Promise<void>;

/** The server says everything back. */
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

/** Resolves when the connection is there, or has ended. */
async function open(): Promise<void> {
  heard = '';
  client = connect(proxy.port, '127.0.0.1');
  client.on('error', () => undefined);
  closed = new Promise((resolve) => client.once('close', () => resolve()));
  client.on('data', (data) => {
    heard += data.toString();
  });
  await Promise.race([new Promise((resolve) => client.once('connect', resolve)), closed]);
}

const says = async (text: string) => {
  client.write(text);
  await expect.poll(() => heard).toContain(text);
};

test('an open way passes everything', async () => {
  await says('x'.repeat(3_000_000));
  expect(heard).toHaveLength(3_000_000);
});

test('a slow way takes its time, in order', async () => {
  proxy.way = { kind: 'slow', delayMs: 60 };
  const beganMs = performance.now();
  client.write('one ');
  setTimeout(() => client.write('two '), 10);
  await expect.poll(() => heard).toBe('one two ');
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(119);
});

test('a stalled way passes nothing until it is open again', async () => {
  await says('before');
  proxy.way = { kind: 'stalled' };
  client.write('meanwhile');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(heard).toBe('before');
  proxy.way = { kind: 'open' };
  await expect.poll(() => heard).toBe('beforemeanwhile');
});

test('what waits is lost when the client gives up', async () => {
  await says('before');
  const got: string[] = [];
  server.on('connection', (socket) => socket.on('data', (data) => got.push(data.toString())));
  await open();
  await says('a');
  proxy.way = { kind: 'stalled' };
  client.write('lost');
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.resetAndDestroy();
  await closed;
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.way = { kind: 'open' };
  await open();
  await says('b');
  expect(got).toEqual(['a', 'b']);
});

test('a cut comes after so many bytes', async () => {
  proxy.cut(5);
  client.write('123456789');
  await closed;
  expect(heard.length).toBeLessThanOrEqual(5);
  await open();
  await says('again');
});

test('a closed way ends who comes, and another answers for the server', async () => {
  proxy.way = { kind: 'closed' };
  await open();
  await closed;
  proxy.way = { kind: 'answers', text: 'nonsense' };
  await open();
  client.write('GET / HTTP/1.1');
  await closed;
  expect(heard).toBe('nonsense');
});
