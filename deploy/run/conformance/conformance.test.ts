/** `hm conformance` on a real NATS with the agent and the controller of the demo, and with ones that do not conform. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startNats, type TestNats } from '../../../common/testing/nats/server.ts';
import { startRestrictedNats } from '../../../common/testing/nats/users.ts';
import { Dea } from '../../demo/agent/dea.ts';
import { startController } from '../../demo/controller/controller.ts';
import { placeSubject } from '../../demo/protocol.ts';
import { main } from '../cli/program.ts';
import type { Finding } from './findings.ts';

const SILENT = pino({ level: 'silent' });
const LOGIN = '{"user":"bulk","password":"secret"}';
const APPS = 'apps: [{ name: web, command: exec sleep 60, instances: 2, version: v1 }]\n';

let nats: TestNats;
let bus: NatsConnection;
let dir: string;
let output: string;
let ends: (() => Promise<unknown> | unknown)[];
beforeEach(async () => {
  vi.stubEnv('MBUS_URI', '');
  [output, ends] = ['', []];
  dir = mkdtempSync(join(tmpdir(), 'hm-conformance-'));
  nats = await startNats();
  bus = await connect({ servers: nats.url });
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text;
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  for (const end of ends.reverse()) await end();
  await bus.close();
  await nats.stop();
  rmSync(dir, { recursive: true, force: true });
});

interface Report {
  conforms: boolean;
  counts: { agents: number; heartbeats: number; equal: number; exits: number; updates: number };
  bulk?: { complete: number; passes: number; apps: number };
  findings: (Finding & { effect: string })[];
}

const conformance = (...options: string[]) =>
  main(['conformance', '--mbus', nats.url, '--droplet-lost', '2', '--seconds', '3', ...options]);
const report = () => JSON.parse(output) as Report;
const kinds = () => report().findings.map(({ side, kind }) => `${side} ${kind}`);

/** Every message that others than the agents and the controller send. */
async function recordAll(): Promise<string[]> {
  const subjects: string[] = [];
  bus.subscribe('>', { callback: (_, { subject }) => void subjects.push(subject) });
  await bus.flush();
  return subjects;
}

/** A controller that serves these pages, one after the other. */
async function serve(...pages: string[]): Promise<string> {
  let next = 0;
  const server: Server = createServer((_, response) => void response.end(pages[next++ % pages.length]));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  bus.subscribe('cloudcontroller.bulk.credentials.default', {
    callback: (_, message) => void message.respond(LOGIN),
  });
  await bus.flush();
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("the demo's agent and controller conform, also while an instance crashes and an app is changed", async () => {
  const appsFile = join(dir, 'apps.yml');
  writeFileSync(appsFile, APPS);
  const own = await connect({ servers: nats.url });
  const controller = await startController({
    ...{ nats: own, partition: 'default', appsFile, heartbeatMs: 500, log: SILENT, onEvent: () => {} },
  });
  const pids = new Map<string, number | undefined>();
  const agents = [1, 2].map(
    () =>
      new Dea({
        ...{ nats: own, partition: 'default', heartbeatMs: 500, startingMs: 50, log: SILENT },
        onInstances: (instances) => {
          for (const { guid, pid } of instances) pids.set(guid, pid);
        },
        onEvacuating: () => {},
      }),
  );
  ends.push(async () => {
    for (const agent of agents) await agent.shutdown();
    await controller.close();
    await own.close();
  });
  for (const agent of agents) await agent.start();
  const place = async (agent: Dea | undefined, index: number) => {
    const request = { droplet: 'web', version: 'v1', index, command: 'exec sleep 60' };
    const reply = await bus.request(placeSubject(agent?.id ?? ''), JSON.stringify(request));
    return (reply.json() as { instance: string }).instance;
  };
  await place(agents[0], 0);
  const crashing = await place(agents[1], 1);
  const faults = () => {
    process.kill(pids.get(crashing) as number, 'SIGKILL');
    writeFileSync(appsFile, APPS.replace('instances: 2', 'instances: 3'));
    bus.publish('healthmanager.start', '{}');
  };
  // The first request for the login shows that it watches.
  bus.subscribe('cloudcontroller.bulk.credentials.default', {
    max: 1,
    callback: () => void setTimeout(faults, 500),
  });
  const subjects = await recordAll();
  expect(await conformance('--cc', `http://127.0.0.1:${controller.port}`, '--json'), output).toBe(0);
  const { conforms, counts, bulk, findings } = report();
  expect({ conforms, findings }).toEqual({ conforms: true, findings: [] });
  expect(counts).toMatchObject({ agents: 2, exits: 1, updates: 1 });
  expect(counts.heartbeats).toBeGreaterThan(8);
  expect(counts.equal).toBeGreaterThan(3);
  expect(bulk).toMatchObject({ passes: 2, complete: 2, apps: 1 });
  // It asks for the login, and publishes nothing else.
  const others = subjects.filter(
    (subject) => !/^(dea|droplet|demo|healthmanager\.start|_INBOX)/.test(subject),
  );
  expect([...new Set(others)]).toEqual(['cloudcontroller.bulk.credentials.default']);
}, 30_000);

test('an agent and a controller that do not conform: a table, JSON, exit code 1', async () => {
  const entry = {
    instances: 1,
    state: 'STARTED',
    package_state: 'STAGED',
    version: 'v1',
    updated_at: 'soon',
  };
  const cc = await serve(JSON.stringify({ results: { web: entry }, bulk_token: {} }));
  const listed = { droplet: 'web', version: 'v1', instance: 'i-1', index: 0, state: 'RUNNING' };
  const beat = (stamp: number) =>
    bus.publish(
      'dea.heartbeat',
      JSON.stringify({ dea: 'mine', droplets: [{ ...listed, state_timestamp: stamp }] }),
    );
  const send = setInterval(() => beat(Date.now() / 1000), 500);
  const exits = setInterval(() => bus.publish('droplet.exited', JSON.stringify(listed)), 700);
  ends.push(
    () => clearInterval(send),
    () => clearInterval(exits),
  );

  expect(await conformance('--cc', cc, '--json')).toBe(1);
  expect(report().conforms).toBe(false);
  expect(kinds()).toEqual([
    'agent exit_without_reason',
    'controller entry_rejected',
    'controller token_repeats',
    'agent dea_not_last',
    'agent unsteady_heartbeat',
  ]);
  expect(report().findings[1]).toMatchObject({
    ...{ level: 'error', who: cc.replace('http://', ''), detail: 'bulk entry: updated_at' },
    ...{ count: 2, example: 'web: "soon"', effect: expect.stringContaining('rejected') },
  });

  output = '';
  expect(await conformance('--seconds', '1')).toBe(1);
  expect(output).toMatch(/^LEVEL {4}WHO +FINDING +COUNT {2}DETAIL$/m);
  expect(output).toMatch(/^warning {2}agent mine +dea_not_last +\d+ +`dea` is not the last key$/m);
  expect(output).toContain('bulk API: not read (--cc)');
  expect(output).toMatch(/^\d errors?, 2 warnings$/m);
}, 30_000);

test('a controller that does not answer, and a silent bus', async () => {
  expect(await conformance('--cc', 'http://127.0.0.1:1', '--seconds', '1', '--json')).toBe(1);
  expect(kinds()).toEqual(['agent nothing_heard', 'controller no_credentials']);
  output = '';
  await serve('');
  expect(await conformance('--cc', 'http://127.0.0.1:1', '--seconds', '1', '--json')).toBe(1);
  expect(report().findings[1]).toMatchObject({
    kind: 'bulk_failed',
    detail: expect.stringContaining('ECONNREFUSED'),
  });
}, 30_000);

test('the configuration file names NATS, partition and controller', async () => {
  const cc = await serve('{"results":{},"bulk_token":{}}');
  const file = join(dir, 'health_manager.yml');
  writeFileSync(file, `mbus: ${nats.url}\nbulk_api: {host: "${cc}"}\nintervals: {droplet_lost: 2}\n`);
  bus.publish('dea.heartbeat', '{"droplets":[],"dea":"a"}');
  const send = setInterval(() => bus.publish('dea.heartbeat', '{"droplets":[],"dea":"a"}'), 400);
  ends.push(() => clearInterval(send));
  expect(await main(['conformance', '--config', file, '--seconds', '1']), output).toBe(0);
  expect(output).toContain('Nothing was found that does not fit the contract.');
  expect(output).toContain('2 of 2 passes complete');
}, 30_000);

test('a subscription that NATS refuses: exit code 1 and the reason, since nothing would be heard', async () => {
  const restricted = await startRestrictedNats(['dea.heartbeat']);
  ends.push(() => restricted.stop());
  let problem = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    problem += text;
    return true;
  });
  expect(await main(['conformance', '--mbus', restricted.url, '--seconds', '1'])).toBe(1);
  expect(problem).toContain('NATS refuses the subscription to dea.heartbeat');
  expect(output).toBe('');
}, 30_000);

test('Ctrl-C ends the watch, and what was found until then is shown', async () => {
  bus.publish('dea.heartbeat', '{"dea":"a","droplets":[]}');
  const send = setInterval(() => bus.publish('dea.heartbeat', '{"dea":"a","droplets":[]}'), 100);
  ends.push(() => clearInterval(send));
  const before = process.listenerCount('SIGINT');
  const interrupt = setInterval(() => {
    if (process.listenerCount('SIGINT') > before) process.emit('SIGINT');
  }, 700);
  ends.push(() => clearInterval(interrupt));
  expect(await main(['conformance', '--mbus', nats.url, '--seconds', '600', '--json'])).toBe(1);
  expect(report().findings).toMatchObject([{ kind: 'dea_not_last', who: 'a' }]);
  expect(process.listenerCount('SIGINT')).toBe(before);
}, 30_000);

test('NATS does not answer: exit code 1 and the reason; a wrong option: 78', async () => {
  let problem = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    problem += text;
    return true;
  });
  expect(await main(['conformance', '--mbus', 'nats://127.0.0.1:1'])).toBe(1);
  expect(problem).toContain('hm: NATS: ');
  expect(await main(['conformance', '--mbus', 'http://x'])).toBe(78);
  expect(problem).toContain('options: mbus: expected');
  expect(await main(['conformance', '--seconds', 'x'])).toBe(64);
  expect(output).toBe('');
}, 30_000);
