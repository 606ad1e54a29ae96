import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ChildName, PROCESS_NAMES } from './child.ts';
import { type Launcher, type LauncherOptions, launch } from './launcher.ts';
import { isAlive } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

/** A stand-in for a process: writes its name and the servers' URLs, and runs until SIGTERM. */
const STUB = `
  console.log(JSON.stringify({ name: process.argv[1], pid: process.pid, redis: process.env.REDIS_URL, nats: process.env.MBUS_URI }));
  console.log(JSON.stringify({ event: 'ready', process: process.argv[1] }).replaceAll(' ', ''));
  process.on('SIGTERM', () => process.exit(0));
  setInterval(() => {}, 1000);
`;

const NONE = { mbusGiven: false };
const ALL = { redis: { kind: 'single', url: 'redis://127.0.0.1:1' }, mbusGiven: true } as const;

let dir: string;
const launchers: Launcher[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hm-launcher-'));
});
afterEach(async () => {
  for (const launcher of launchers) launcher.stop();
  await Promise.allSettled(launchers.splice(0).map(({ done }) => done));
  rmSync(dir, { recursive: true, force: true });
});

type Line = Record<string, unknown>;

function lines(stream: PassThrough): Line[] {
  const found: Line[] = [];
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    found.push(...parts.map((part) => JSON.parse(part) as Line));
  });
  return found;
}

function setUp(
  settings: LauncherOptions['settings'],
  script: string | ((name: ChildName) => string) = STUB,
  more: Partial<LauncherOptions> = {},
) {
  const stdout = new PassThrough();
  const written = lines(stdout);
  const logStream = new PassThrough();
  const logLines = lines(logStream);
  const launcher = launch({
    settings,
    log: pino(logStream),
    dataDir: join(dir, '.hm'),
    command: (name) => ({
      program: process.execPath,
      args: ['-e', typeof script === 'string' ? script : script(name), name],
    }),
    env: { PATH: process.env.PATH },
    output: { stdout, stderr: new PassThrough().resume(), format: (line) => line },
    backoff: { firstMs: 10, maxMs: 100, resetAfterMs: 60_000 },
    ...more,
  });
  launchers.push(launcher);
  const event = (name: string) => logLines.filter((line) => line.event === name);
  const ready = () => expect.poll(() => event('ready').length).toBe(1);
  return { launcher, written, event, ready };
}

function pidOf(line: Line | undefined): number {
  if (typeof line?.pid !== 'number') throw new Error(`no pid in ${JSON.stringify(line)}`);
  return line.pid;
}

test('private servers and all processes are started, and stop leaves none running', async () => {
  const { launcher, written, event, ready } = setUp(NONE);
  await ready();
  expect(event('child_started').map(({ child }) => child)).toEqual([
    'redis-server',
    'nats-server',
    'ingest',
    'sync',
    'analyzer',
    'nudger',
    'reporter',
  ]);
  const [redis, nats] = event('server_started').map(({ url }) => url);
  const stubs = written.filter((line) => 'pid' in line);
  expect(stubs.map(({ name }) => name).sort()).toEqual(['analyzer', 'ingest', 'nudger', 'reporter', 'sync']);
  for (const stub of stubs) expect(stub).toMatchObject({ redis, nats });

  const pids = event('child_started').map(pidOf);
  expect(pids.every(isAlive)).toBe(true);
  launcher.stop();
  expect(await launcher.done).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);
  expect(event('child_ended')).toEqual([]);
});

test('no private server is started when both servers are configured', async () => {
  const { launcher, written, event, ready } = setUp(ALL);
  await ready();
  expect(event('server_started')).toEqual([]);
  for (const stub of written) expect(stub).not.toHaveProperty('redis');
  launcher.stop();
  expect(await launcher.done).toBe(0);
});

test.each([
  [
    'Redis',
    { redis: ALL.redis, mbusGiven: false },
    { redis: undefined, nats: expect.stringMatching(/^nats:/) },
  ],
  ['NATS', { mbusGiven: true }, { redis: expect.stringMatching(/^redis:/), nats: undefined }],
] as const)('only the server that is not configured is started: not %s', async (_, settings, given) => {
  const { launcher, written, ready } = setUp(settings);
  await ready();
  expect(written.find(({ name }) => name === 'ingest')).toEqual({
    name: 'ingest',
    pid: expect.any(Number),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  });
  launcher.stop();
  expect(await launcher.done).toBe(0);
});

test('a process that dies is restarted, and the others run on', async () => {
  const { written, event, ready } = setUp(ALL);
  await ready();
  const before = event('child_started');
  const victim = before.find(({ child }) => child === 'nudger');
  process.kill(pidOf(victim), 'SIGKILL');
  await expect.poll(() => event('child_started').length).toBe(6);
  expect(event('child_ended')).toMatchObject([{ child: 'nudger', restart_in_s: 0.01 }]);
  await expect.poll(() => written.filter(({ name }) => name === 'nudger').length).toBe(2);
  expect(
    before
      .filter((line) => line !== victim)
      .map(pidOf)
      .every(isAlive),
  ).toBe(true);
});

test('a private server that dies is restarted on the same port with its data', async () => {
  const { event, ready } = setUp({ mbusGiven: true });
  await ready();
  const url = String(event('server_started')[0]?.url);
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on('error', () => undefined); // expected while Redis restarts
  try {
    await client.set('colour', 'green');
    process.kill(pidOf(event('server_started')[0]), 'SIGTERM');
    await expect
      .poll(() => event('child_started').filter(({ child }) => child === 'redis-server').length)
      .toBe(2);
    expect(await client.get('colour')).toBe('green');
  } finally {
    client.disconnect();
  }
});

test('a second launcher in the same folder is refused, and the first runs on', async () => {
  const { event, ready } = setUp(NONE);
  await ready();
  const second = setUp(NONE);
  await expect(second.launcher.done).rejects.toThrow(UnavailableError);
  await expect(second.launcher.done).rejects.toThrow(`in use by another deploy/hm, pid ${process.pid}`);
  expect(event('child_started').map(pidOf).every(isAlive)).toBe(true);
});

test('a process that exits with 78 ends the launcher with 78', async () => {
  const { launcher, event } = setUp(NONE, (name) => (name === 'sync' ? 'process.exit(78)' : STUB));
  expect(await launcher.done).toBe(78);
  expect(event('child_given_up')).toMatchObject([{ child: 'sync', code: 78 }]);
  expect(event('child_started').map(pidOf).filter(isAlive)).toEqual([]);
});

test('exit code 69 ends the launcher during the start, and leads to a restart later', async () => {
  const atStart = setUp(ALL, (name) => (name === 'reporter' ? 'process.exit(69)' : STUB));
  expect(await atStart.launcher.done).toBe(69);

  // Exits with 69 after it was ready: a passing collision.
  const later = setUp(ALL, (name) => (name === 'reporter' ? STUB.replace('exit(0)', 'exit(69)') : STUB));
  await later.ready();
  process.kill(pidOf(later.event('child_started').find(({ child }) => child === 'reporter')), 'SIGTERM');
  await expect.poll(() => later.event('child_started').length).toBe(6);
  later.launcher.stop();
  expect(await later.launcher.done).toBe(0);
});

test('force kills a process that does not stop', async () => {
  const { launcher, event, ready } = setUp(NONE, STUB.replace('process.exit(0)', '0'));
  await ready();
  launcher.stop();
  await expect.poll(() => event('stopping').length).toBe(1);
  launcher.force();
  expect(await launcher.done).toBe(1);
  expect(event('child_started').map(pidOf).filter(isAlive)).toEqual([]);
});

test('a stop during the start of the servers ends with exit code 0', async () => {
  const { launcher, event } = setUp(NONE);
  launcher.stop();
  expect(await launcher.done).toBe(0);
  expect(event('child_started').map(pidOf).filter(isAlive)).toEqual([]);
});

test('all processes in one child: it is ready when each of them is', async () => {
  const script = `
    for (const process of ${JSON.stringify(PROCESS_NAMES)})
      setTimeout(() => console.log(JSON.stringify({ event: 'ready', process })), 50);
    ${STUB}
  `;
  const { launcher, written, ready } = setUp(ALL, script, { isOneProcess: true });
  await ready();
  expect(written.flatMap(({ name }) => name ?? [])).toEqual(['all']);
  launcher.stop();
  expect(await launcher.done).toBe(0);
});
