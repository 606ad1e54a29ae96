import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { listOpenHandles } from './open-handles.ts';

test('a TCP server and its connections are listed until they are closed', async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  expect(listOpenHandles()).toContainEqual(expect.stringMatching(new RegExp(`TCP server on .*${port}`)));
  expect(listOpenHandles()).toContainEqual(
    expect.stringMatching(new RegExp(`TCP connection .* to 127.0.0.1:${port}`)),
  );

  client.destroy();
  server.close();
  await once(server, 'close');
  await expect.poll(listOpenHandles).toEqual([]);
});

test.runIf(process.platform === 'linux')('a child process is listed until it has ended', async () => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(child, 'spawn');
  expect(listOpenHandles()).toEqual([expect.stringContaining(`child process ${child.pid}: `)]);

  child.kill();
  await once(child, 'exit');
  await expect.poll(listOpenHandles).toEqual([]);
});
