import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { httpController } from './controller.ts';
import { ENCODERS } from './dialect.ts';

const START = { droplet: 'a b', updatedAtS: 1, version: 'v', index: 2, running: [], flapping: false };
const WITHIN_MS = 300;
let server: Server | undefined;
let controller: ReturnType<typeof httpController> | undefined;

afterEach(async () => {
  await controller?.close();
  server?.closeAllConnections();
  await new Promise((done) => (server === undefined ? done(undefined) : server.close(done)));
  [server, controller] = [undefined, undefined];
});

async function controllerThat(replies: RequestListener, path = ''): Promise<void> {
  server = createServer(replies);
  await new Promise<void>((listening) => server?.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const api = { url: `http://127.0.0.1:${port}${path}`, user: 'internal', password: 'p:w' };
  controller = httpController(api, WITHIN_MS);
}
const send = () => controller?.send(ENCODERS['hm9000-http'].start(START, 'd1'), { 'hm-reason': 'missing' });

describe('a start in the dialect hm9000-http', () => {
  test('is posted to the path of its app with the login of the internal API', async () => {
    let request: IncomingMessage | undefined;
    let body = '';
    await controllerThat(async (incoming, response) => {
      request = incoming;
      body = await text(incoming);
      response.end();
    }, '/base/');
    await expect(send()).resolves.toBeUndefined();
    expect([request?.method, request?.url]).toEqual(['POST', '/base/internal/dea/hm9000/start/a%20b']);
    expect(request?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('internal:p:w').toString('base64')}`,
      'content-type': 'application/json',
      'hm-reason': 'missing',
    });
    expect(JSON.parse(body)).toEqual({ message_id: 'd1', droplet: 'a b', version: 'v', instance_index: 2 });
  });

  test.each([
    [404, 'no such\napp', 'status 404: no such app'],
    [202, '', 'status 202'],
    [302, 'x'.repeat(100_000), `status 302: ${'x'.repeat(200)}`],
  ])('is refused by status %d, with its text in one line', async (status, said, why) => {
    await controllerThat((_, response) => void response.writeHead(status).end(said));
    await expect(send()).resolves.toBe(why);
  });

  test('may have arrived when no reply comes in time', async () => {
    await controllerThat(() => undefined);
    await expect(send()).rejects.toThrow('timeout');
  });

  test('may have arrived when the connection is cut', async () => {
    await controllerThat((request) => void request.destroy());
    await expect(send()).rejects.toThrow();
  });
});
