import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from '../../../../common/testing/redis/server.ts';
import { useHmFixture } from '../testing/hm-fixture.ts';

const fixture = useHmFixture();
const nowMs = () => fixture.context.clock.nowMs();
const WANTED = 'STARTED 2x STAGED version v 256M updated 1398000000';

test('shows desired state, instances and holds; writes nothing', async () => {
  await fixture.list('app', WANTED, nowMs() - 100_000);
  await fixture.heartbeat('dea-1', 'app', { a: '0 RUNNING', x: '7 RUNNING' }, nowMs());
  await fixture.commit(
    'app',
    { 'slot:1': { index: 1, version: 'v', crashes: 0, flapping: false, held: 'mass_loss' } },
    [],
  );
  const before = await fixture.dumpRedis();
  const { code, stdout, stderr } = await fixture.hm(['droplet', 'app', '--utc']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(
    stdout.map((line) =>
      line
        .replace(/\d{4}-\d\d-\d\d /g, '')
        .replace(/\b\d+(\.\d+)? s\b/g, 'T')
        .replace(/\d\d:\d\d:\d\d/, 'AT'),
    ),
  ).toEqual([
    'app, first seen AT',
    'wanted: STARTED, 2 instances of version v, package STAGED, 256 MB',
    '1 of 2 run',
    '  index 0  RUNNING   on dea-1 for T, last heartbeat T ago (instance a)',
    '  index 1  MISSING   not started: hold mass_loss',
    'other instances',
    '  index 7  RUNNING  on dea-1, first listed T ago, last heartbeat T ago (instance x): surplus, not stopped yet',
  ]);
  expect(await fixture.dumpRedis()).toEqual(before);
});

test('--json writes one object', async () => {
  await fixture.list('app', WANTED, nowMs() - 100_000);
  await fixture.heartbeat('dea-1', 'app', { a: '0 RUNNING' }, nowMs());
  await fixture.context.redis.client.del(fixture.context.redis.keys.syncState);
  const { code, stdout } = await fixture.hm(['droplet', 'app', '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout.join('\n'))).toMatchObject({
    droplet: 'app',
    firstSeenMs: nowMs() - 100_000,
    desired: { state: 'STARTED', instances: 2, version: 'v', memory: 256 },
    missing_indices: [1],
    versions: { v: { instances: { a: { index: 0, state: 'RUNNING', dea: 'dea-1', live: true } } } },
    holds: ['desired_unavailable'],
  });
});

test.each([
  ['that is STOPPED', 'STOPPED 2x STAGED version v 256M updated 1', /^wanted: STOPPED, 2 instances/, 2],
  ['that is not staged', 'STARTED 2x PENDING version v 256M updated 1', /^its package is not STAGED/, 3],
  ['whose entry cannot be read', '', /^the controller lists it, but its entry cannot be read/, 2],
])('a droplet %s', async (_, desired, expected, lines) => {
  await fixture.list('app', desired, nowMs());
  const { stdout } = await fixture.hm(['droplet', 'app']);
  expect(stdout).toContainEqual(expect.stringMatching(expected));
  expect(stdout).toHaveLength(lines);
});

test('a droplet that the controller never listed, or no longer lists', async () => {
  await fixture.heartbeat('dea-1', 'app', { a: '0 RUNNING' }, nowMs());
  expect((await fixture.hm(['droplet', 'app'])).stdout[1]).toMatch(/^the controller has not listed it/);
  await fixture.list('app', WANTED, nowMs() - 9_000);
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.droplet('app'), 'gone', nowMs() - 9_000);
  expect((await fixture.hm(['droplet', 'app'])).stdout[1]).toMatch(
    /^not wanted: the controller does not list it any/,
  );
});

test('shows dry_run', async () => {
  await fixture.list('app', WANTED, nowMs());
  expect((await fixture.hm(['droplet', 'app'], 'dry_run: true\n')).stdout[1]).toMatch(/^dry_run is on/);
});

test('times are relative to the deployment clock, which may be ahead of this Redis', async () => {
  await fixture.list('app', WANTED, nowMs());
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.droplet('app'), 'updated', nowMs());
  await client.hset(keys.clock, { last: nowMs() + 7_200_000, ahead: 7_200_000 });
  expect((await fixture.hm(['droplet', 'app'])).stdout).toContain('changed by the controller 2 h ago');
});

test('the number of slices is read from Redis, not from the file', async () => {
  await fixture.list('app', WANTED, nowMs());
  expect((await fixture.hm(['droplet', 'app'], 'slices: 512\n')).code).toBe(0);
});

test.each([['nobody'], ['with blanks']])('an unknown droplet: %j', async (id) => {
  const before = await fixture.dumpRedis();
  expect(await fixture.hm(['droplet', id])).toEqual({
    code: 1,
    stdout: [],
    stderr: `hm: droplet ${id}: unknown\n`,
  });
  expect(await fixture.dumpRedis()).toEqual(before);
});

test('an unreadable record is reported with its field', async () => {
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.droplet('app'), { rev: 1, seen: 1, 'slot:0': 'edited by hand' });
  const { code, stderr } = await fixture.hm(['droplet', 'app']);
  expect(code).toBe(1);
  expect(stderr).toContain(
    "droplet app: droplet record: field slot:0: expected this program's format, found",
  );
});

test('a Redis without a health manager stays empty', async () => {
  await fixture.context.redis.client.flushall();
  for (const argv of [['droplet', 'app'], ['explain', 'app'], ['dump'], ['release', 'mass_loss']]) {
    const { code, stderr } = await fixture.hm(argv);
    expect({ argv, code }).toEqual({ argv, code: 1 });
    expect(stderr).toContain(
      'this Redis has no data of a health manager: expected hm:{fleet}:layout, found none',
    );
  }
  expect(await fixture.dumpRedis()).toEqual({});
});

test('data of another layout version are not read', async () => {
  const { client, keys } = fixture.context.redis;
  await client.hset(keys.layout, 'version', 99);
  const { code, stderr } = await fixture.hm(['droplet', 'app']);
  expect(code).toBe(78);
  expect(stderr).toContain('found 99');
});

test.each([
  ['droplet'],
  ['droplet', 'a', 'b'],
  ['droplet', 'a', '--nonsense'],
  ['explain'],
  ['explain', 'a', '--limit', '0'],
])('wrong usage: %s %s %s', async (...argv) => {
  expect((await fixture.hm(argv)).code).toBe(64);
});

test('a wrong configuration: exit code 78', async () => {
  const { code, stderr } = await fixture.hm(['droplet', 'app'], 'intervals:\n  droplet_lost: soon\n');
  expect(code).toBe(78);
  expect(stderr).toContain('intervals.droplet_lost: expected a number of seconds > 0, got "soon"');
  const missing = await fixture.run(['droplet', 'app', '--config', '/nonexistent/health_manager.yml']);
  expect(missing.code).toBe(78);
  expect(missing.stderr).toContain('/nonexistent/health_manager.yml: no such file');
});

test('a file that names no Redis, without a launcher beside it: exit code 1', async () => {
  const { code, stderr } = await fixture.run(['droplet', 'app', '--config', fixture.file('slices: 4\n')]);
  expect(code).toBe(1);
  expect(stderr).toContain('names no Redis, and no "hm start" with a private one runs beside it');
});

test('a Redis that is not reachable: exit code 1, without the login in the message', async () => {
  const port = await freePort();
  for (const argv of [['droplet', 'app'], ['explain', 'app'], ['dump'], ['release', 'mass_loss']]) {
    const file = fixture.file(`redis:\n  url: redis://user:secret@127.0.0.1:${port}\n`);
    const { code, stdout, stderr } = await fixture.run([...argv, '--config', file]);
    expect({ argv, code, stdout }).toEqual({ argv, code: 1, stdout: [] });
    expect(stderr).toContain(`Redis at 127.0.0.1:${port}: connect ECONNREFUSED`);
    expect(stderr).not.toContain('secret');
  }
});

test('a Redis that does not answer: exit code 1 within seconds', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const begunMs = performance.now();
  const file = fixture.file(`redis:\n  url: redis://127.0.0.1:${port}\n`);
  const { code, stderr } = await fixture.run(['droplet', 'app', '--config', file]);
  expect(performance.now() - begunMs).toBeLessThan(8_000);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`^hm: Redis at 127.0.0.1:${port}: .+\\n$`));
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});
