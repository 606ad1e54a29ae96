/** A health manager's Redis as it is in operation, for the tests of the commands that read it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, vi } from 'vitest';
import { LOG_LENGTH, type LogEntry } from '../../../../common/model/decision-log.ts';
import { LAYOUT_VERSION } from '../../../../common/redis/keys.ts';
import { type RedisOfTests, useRedis } from '../../../../common/testing/context.ts';
import { main } from '../program.ts';

const SLICES = 4;
const PASS = 1;
const LATER_MS = 300_000;

/** What a command said, and how it ended. */
export interface Run {
  code: number;
  stdout: string[];
  stderr: string;
}

export interface Memory extends RedisOfTests {
  /** Runs `hm <argv> --config <a file with this Redis>`; more lines for the file with `settings`. */
  hm(argv: string[], settings?: string): Promise<Run>;
  /** Runs `hm <argv>` with nothing added. */
  run(argv: string[]): Promise<Run>;
  /** A configuration file with this text. */
  file(text: string): string;
  /** A bulk pass that begins at `atMs` says this of a droplet. */
  listed(droplet: string, desired: string, atMs: number): Promise<void>;
  /** A DEA's heartbeat: all that it runs of a droplet, by instance: `<index> <state>`. */
  heard(dea: string, droplet: string, instances: Record<string, string>, atMs: number): Promise<void>;
  /** `droplet.exited` */
  exited(droplet: string, instance: string, words: string, reason: string, atMs: number): Promise<void>;
  /** Fields and log entries as the analyzer stores them. */
  decided(droplet: string, fields: Record<string, object>, log: LogEntry[]): Promise<void>;
  /** All that is in Redis. */
  everything(): Promise<Record<string, string>>;
}

/** A Redis in which ingestors listen and a pass has just been completed; how it is now is on its own clock. */
export function useMemory(): Memory {
  const of = useRedis({ settings: { slices: SLICES } }) as Memory;
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
    const { client, keys } = of.context.redis;
    const [seconds] = await client.time();
    const nowMs = Number(seconds) * 1000;
    of.context.clock.set(nowMs);
    await client.hset(keys.layout, { version: LAYOUT_VERSION, slices: SLICES });
    await client.hset(keys.listening, { since: nowMs - 600_000, until: nowMs + LATER_MS });
    await client.hset(keys.syncState, { completed: nowMs, succeeded: nowMs });
    for (let slice = 0; slice < SLICES; slice++) await client.set(keys.passOf(slice), PASS);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  of.file = (text) => {
    const path = join(dir, `health_manager-${files++}.yml`);
    writeFileSync(path, text);
    return path;
  };
  of.run = async (argv) => {
    stdout = '';
    stderr = '';
    const code = await main(argv);
    return { code, stdout: stdout.split('\n').slice(0, -1), stderr };
  };
  of.hm = (argv, settings = '') =>
    of.run([...argv, '--config', of.file(`redis:\n  url: ${of.server.url}\n${settings}`)]);
  of.listed = async (droplet, desired, atMs) => {
    const { keys, scripts } = of.context.redis;
    const slice = keys.sliceOf(droplet);
    const of3 = [keys.due(slice), keys.passOf(slice), keys.decisions(slice)];
    await scripts.storeDesired(
      [...of3, keys.droplet(droplet), keys.indexOf(droplet)],
      [atMs, atMs, PASS, `${droplet}\n${desired}\n`, LOG_LENGTH],
    );
  };
  of.heard = async (dea, droplet, instances, atMs) => {
    const { client, keys, scripts } = of.context.redis;
    // And goes on to be heard, however slowly the test is run.
    await client.zadd(keys.deasLastHeartbeat, of.context.clock.nowMs() + LATER_MS, dea);
    const words = Object.entries(instances).map(([guid, is]) => [guid, `${is} on ${dea} version v since 1`]);
    await scripts.storeHeartbeatDroplets(
      [keys.droplet(droplet), keys.indexOf(droplet), keys.due(keys.sliceOf(droplet))],
      [atMs, '', ` on ${dea} `, dea, atMs, '', '', '', '', droplet, words.length, ...words.flat()],
    );
  };
  of.exited = async (droplet, instance, words, reason, atMs) => {
    const { keys, scripts } = of.context.redis;
    const slice = keys.sliceOf(droplet);
    await scripts.storeExit(
      [keys.droplet(droplet), keys.due(slice), keys.indexOf(droplet)],
      [droplet, instance, words, atMs, reason, 60_000],
    );
  };
  of.decided = async (droplet, fields, log) => {
    const { client, keys, scripts } = of.context.redis;
    const slice = keys.sliceOf(droplet);
    const rev = await client.hget(keys.droplet(droplet), 'rev');
    const set = Object.entries(fields).flatMap(([field, value]) => [field, JSON.stringify(value)]);
    const entries = log.map((entry) => JSON.stringify(entry));
    await scripts.commitDecisions(
      [keys.droplet(droplet), keys.due(slice), keys.decisions(slice), keys.troubled(slice)],
      [LOG_LENGTH, droplet, rev ?? '', 0, '', 0, set.length / 2, 0, log.length, ...set, ...entries],
    );
  };
  of.everything = async () => {
    const { client } = of.context.redis;
    const names = (await client.keys('*')).sort();
    const dumps = await Promise.all(names.map((name) => client.dumpBuffer(name)));
    return Object.fromEntries(names.map((name, at) => [name, dumps[at]?.toString('hex') ?? '']));
  };
  return of;
}
