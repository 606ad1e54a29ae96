/** A Redis with the data of a running health manager, and a runner of `hm` commands. For the tests of the commands. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, vi } from 'vitest';
import type { LogEntry } from '../../../../common/model/decision-log.ts';
import type { Exit } from '../../../../common/model/droplet.ts';
import { PROCESS_KINDS } from '../../../../common/model/process-kinds.ts';
import { storeProcess } from '../../../../common/redis/fleet/processes/processes.ts';
import { LAYOUT_VERSION } from '../../../../common/redis/keys.ts';
import { commitDecisions } from '../../../../common/redis/scripts/droplets/commit-decisions.ts';
import { storeExit } from '../../../../common/redis/scripts/events/store-exit.ts';
import { storeHeartbeatDroplets } from '../../../../common/redis/scripts/heartbeats/store-heartbeat-droplets.ts';
import { storeDesired } from '../../../../common/redis/scripts/sync/store-desired.ts';
import { type RedisOfTests, useRedis } from '../../../../common/testing/context.ts';
import { main } from '../program.ts';

const SLICES = 4;
const PASS = '1';
const LATER_MS = 300_000;

/** The output and the exit code of a command. */
export interface Run {
  code: number;
  stdout: string[];
  stderr: string;
}

export interface HmFixture extends RedisOfTests {
  /** Runs `hm <argv> --config <a file with this Redis>`. `settings` are further lines of the file. */
  hm(argv: string[], settings?: string): Promise<Run>;
  /** Runs `hm <argv>`. */
  run(argv: string[]): Promise<Run>;
  /** Writes a configuration file. @returns its path */
  file(text: string): string;
  /** Stores a droplet's desired state as a bulk pass that began at `atMs`. */
  list(droplet: string, desired: string, atMs: number): Promise<void>;
  /** Stores a DEA's heartbeat with its instances of a droplet, each as `<index> <state>`. */
  heartbeat(dea: string, droplet: string, instances: Record<string, string>, atMs: number): Promise<void>;
  /** Stores a `droplet.exited`. */
  exit(droplet: string, exit: Omit<Exit, 'n'>): Promise<void>;
  /** Commits fields and log entries, as the analyzer does. */
  commit(droplet: string, fields: Record<string, object>, log: LogEntry[]): Promise<void>;
  /** The content of Redis: each key with its dump. */
  dumpRedis(): Promise<Record<string, string>>;
}

/** No hold is on, and a copy of each process runs: ingestors have fresh watermarks and a pass has just completed. The clock is that of Redis. */
export function useHmFixture(): HmFixture {
  const fixture = useRedis({ settings: { slices: SLICES } }) as HmFixture;
  const dir = mkdtempSync(join(tmpdir(), 'hm-cli-'));
  let stdout = '';
  let stderr = '';
  let files = 0;
  beforeEach(async () => {
    vi.stubEnv('REDIS_URL', '');
    vi.stubEnv('CLOUD_FOUNDRY_CONFIG_PATH', '');
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += text;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += text;
      return true;
    });
    const { client, keys } = fixture.context.redis;
    const [seconds] = await client.time();
    const nowMs = Number(seconds) * 1000;
    fixture.context.clock.set(nowMs);
    await client.hset(keys.layout, { version: LAYOUT_VERSION, slices: SLICES });
    await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs + LATER_MS });
    await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
    const copy = { host: 'vm-1', pid: 7, version: '1.0.0', sinceMs: nowMs - 600_000, lagMs: 0 };
    for (const kind of PROCESS_KINDS)
      await storeProcess(fixture.context.redis, kind, { ...copy, kind, seenMs: nowMs + LATER_MS });
    for (let slice = 0; slice < SLICES; slice++) await client.set(keys.passOf(slice), PASS);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  fixture.file = (text) => {
    const path = join(dir, `health_manager-${files++}.yml`);
    writeFileSync(path, text);
    return path;
  };
  fixture.run = async (argv) => {
    stdout = '';
    stderr = '';
    const code = await main(argv);
    return { code, stdout: stdout.split('\n').slice(0, -1), stderr };
  };
  fixture.hm = (argv, settings = '') =>
    fixture.run([...argv, '--config', fixture.file(`redis:\n  url: ${fixture.server.url}\n${settings}`)]);
  fixture.list = async (droplet, desired, atMs) => {
    const desiredOf = new Map([[droplet, desired]]);
    await storeDesired(fixture.context.redis, {
      nowMs: atMs,
      begunMs: atMs,
      pass: PASS,
      desired: desiredOf,
      oldRecordMs: 20_000,
    });
  };
  fixture.heartbeat = async (dea, droplet, instances, atMs) => {
    const { redis, clock } = fixture.context;
    // The DEA must not fall silent, however slowly the test runs.
    await redis.client.zadd(redis.keys.deasLastHeartbeat, clock.nowMs() + LATER_MS, dea);
    const listed = Object.entries(instances).map(([instance, text]) => {
      const [index, state = ''] = text.split(' ');
      return { instance, index: Number(index), state, version: 'v', stateTimestampS: 1 };
    });
    const heartbeat = { dea, atMs, previousHeartbeatMs: atMs, fence: false, markDue: false };
    await storeHeartbeatDroplets(redis, heartbeat, new Map([[droplet, listed]]));
  };
  fixture.exit = async (droplet, exit) => {
    await storeExit(fixture.context.redis, { droplet, exit, nowMs: exit.atMs, standsMs: 60_000 });
  };
  fixture.commit = async (droplet, fields, log) => {
    const { redis } = fixture.context;
    const rev = Number(await redis.client.hget(redis.keys.droplet(droplet), 'rev'));
    const set = Object.entries(fields).map(([field, value]) => [field, JSON.stringify(value)] as const);
    const commit = { droplet: { id: droplet, rev }, nowMs: 0, severity: 0, set, remove: [], log };
    await commitDecisions(redis, [commit]);
  };
  fixture.dumpRedis = async () => {
    const { client } = fixture.context.redis;
    const names = (await client.keys('*')).sort();
    const dumps = await Promise.all(names.map((name) => client.dumpBuffer(name)));
    return Object.fromEntries(names.map((name, at) => [name, dumps[at]?.toString('hex') ?? '']));
  };
  return fixture;
}
