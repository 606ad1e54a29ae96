/** The page "Build a platform on it in an afternoon": its files and commands, with other ports and shorter intervals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { startNats, type TestNats } from '../../common/testing/nats/server.ts';
import { startTestRedis, type TestRedis } from '../../common/testing/redis/server.ts';
import { build } from '../run/cli/testing/hm-child.ts';
import { hmProgram } from '../run/hm-program.ts';
import { freePort } from '../run/launcher/servers.ts';
import { DEMO } from './stage/config.ts';

const PAGE = readFileSync(join(packageRoot, 'deploy', 'docs', 'platform.md'), 'utf8');
const blocks = (language: string) =>
  [...PAGE.matchAll(new RegExp(`\`\`\`${language}\n([^\`]*)\`\`\``, 'g'))].map(([, text = '']) => text);
const [APPS = '', CONFIG = ''] = blocks('yaml');
const COMMANDS = blocks('sh').flatMap((text) => text.trim().split('\n'));
const command = (start: string) => COMMANDS.find((line) => line.startsWith(`hm ${start}`)) ?? '';

let dir: string;
let redis: TestRedis;
let nats: TestNats;
interface Started {
  child: ChildProcess;
  output: string[];
}
let children: Started[];
let here: (text: string) => string;

beforeAll(build, 300_000);
beforeEach(async () => {
  children = [];
  dir = mkdtempSync(join(tmpdir(), 'hm-platform-'));
  [redis, nats] = await Promise.all([startTestRedis(), startNats()]);
  const [bulk, status] = [await freePort(), await freePort()];
  here = (text) =>
    text
      .replaceAll('nats://127.0.0.1:4222', nats.url)
      .replaceAll('redis://127.0.0.1:6379', redis.url)
      .replaceAll('9022', String(bulk))
      .replace('status: {', `status: { port: ${status},`);
  writeFileSync(join(dir, 'apps.yml'), APPS);
  writeFileSync(
    join(dir, 'health_manager.yml'),
    `${here(CONFIG)}\nintervals: ${JSON.stringify(DEMO.intervals)}\n`,
  );
});
afterEach(async () => {
  for (const { child } of children.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await Promise.all([redis.stop(), nats.stop()]);
  rmSync(dir, { recursive: true, force: true });
});

/** Runs a command of the page in its folder. */
function run(line: string, ...more: string[]): Started {
  const [, ...args] = here(line).split(' ');
  const child = spawn(process.execPath, [hmProgram, ...args, ...more], {
    cwd: dir,
    env: { PATH: process.env.PATH },
  });
  const started = { child, output: [] as string[] };
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => started.output.push(data.toString()));
  children.push(started);
  return started;
}

const outputOf = ({ output }: { output: string[] }) => output.join('');
const says = (started: { output: string[] }, text: string | RegExp) =>
  expect.poll(() => outputOf(started)).toMatch(text);

/** Of how many instances how many are live, by app, as `hm ls --json` lists them. */
async function listed(): Promise<Record<string, string>> {
  const ls = run(command('ls'), '--json');
  await once(ls.child, 'close');
  const apps = outputOf(ls)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { droplet: string; live: number; wanted: number });
  return Object.fromEntries(apps.map(({ droplet, live, wanted }) => [droplet, `${live} of ${wanted}`]));
}
const COMPLETE = { web: '4 of 4', worker: '2 of 2' };

/** How many instances run on these agents, by their own lines. */
function runningOn(agents: readonly { output: string[] }[]): number {
  const states = new Map<string, string>();
  for (const agent of agents) {
    for (const line of outputOf(agent).split('\n').slice(0, -1)) {
      const { instance, state } = JSON.parse(line) as { instance?: string; state?: string };
      if (instance !== undefined && state !== undefined) states.set(instance, state);
    }
  }
  return [...states.values()].filter((state) => state === 'RUNNING').length;
}
const sixRun = (...agents: { output: string[] }[]) =>
  expect.poll(() => runningOn(agents), { interval: 100 }).toBe(6);

test('its commands lead to a cloud of three hosts that heals itself', async () => {
  const heartbeat = ['--heartbeat', String(DEMO.heartbeat)];
  await says(run(command('demo controller'), ...heartbeat), 'controller ready');
  const agents = [1, 2, 3].map(() => run(command('demo agent'), ...heartbeat));
  for (const agent of agents) await says(agent, 'agent ready');
  const check = run(command('check'));
  const [code] = await once(check.child, 'close');
  expect([code, outputOf(check)]).toEqual([0, expect.any(String)]);
  run(command('start'));
  await sixRun(...agents);
  await expect.poll(listed, { interval: 500 }).toEqual(COMPLETE);

  const conformance = run(
    command('conformance'),
    '--seconds',
    '5',
    '--droplet-lost',
    String(DEMO.intervals.droplet_lost),
  );
  const [found] = await once(conformance.child, 'close');
  expect([found, outputOf(conformance)]).toEqual([0, expect.stringContaining('agents: 3;')]);

  // A host dies.
  const [dead, leaving, stays] = agents as [Started, Started, Started];
  dead.child.kill('SIGKILL');
  await sixRun(leaving, stays);

  // Another one comes, and one leaves.
  const comes = run(command('demo agent'), ...heartbeat);
  await says(comes, 'agent ready');
  leaving.child.kill('SIGUSR2');
  await says(leaving, 'agent left');
  await sixRun(stays, comes);

  // More of it.
  writeFileSync(join(dir, 'apps.yml'), APPS.replace('instances: 4', 'instances: 5'));
  await expect.poll(() => runningOn([stays, comes])).toBe(7);
}, 240_000);

test('the controller names what is wrong with its file', async () => {
  writeFileSync(join(dir, 'apps.yml'), 'apps: [{ name: web }]');
  const controller = run(command('demo controller'));
  const [code] = await once(controller.child, 'close');
  expect([code, outputOf(controller)]).toEqual([
    78,
    expect.stringContaining('hm demo controller: apps.yml: apps.0'),
  ]);
});
