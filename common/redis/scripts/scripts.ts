import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis } from 'ioredis';
import { packageRoot } from '../../runtime/package-root.ts';

/** A connection to Redis, to a single server (also by way of Sentinel) or to a cluster. */
export type RedisClient = Redis | Cluster;

type Argument = string | number | Buffer;

/**
 * The scripts that run inside Redis. Keys, arguments, result and guarantee of each stand at the head of its
 * `.lua` file; `keys` of one call are all of one hash tag.
 */
export interface Scripts {
  deasHeard(keys: string[], args: Argument[]): Promise<number[]>;
  deaBegin(keys: string[], args: Argument[]): Promise<string[]>;
  deaFinish(keys: string[], args: Argument[]): Promise<number>;
  deasLost(keys: string[], args: Argument[]): Promise<string[]>;
  deaForget(keys: string[], args: Argument[]): Promise<number>;
  dropletsHeard(keys: string[], args: Argument[]): Promise<number>;
  exited(keys: string[], args: Argument[]): Promise<number>;
  updated(keys: string[], args: Argument[]): Promise<number>;
  desired(keys: string[], args: Argument[]): Promise<number>;
  gone(keys: string[], args: Argument[]): Promise<number>;
  commit(keys: string[], args: Argument[]): Promise<(number | string)[]>;
  postpone(keys: string[], args: Argument[]): Promise<number>;
  forget(keys: string[], args: Argument[]): Promise<number>;
  settle(keys: string[], args: Argument[]): Promise<(number | string)[]>;
  listening(
    keys: string[],
    args: Argument[],
  ): Promise<[sinceMs: string, missed: '1' | '', ...gone: string[]]>;
  swapHold(keys: string[], args: Argument[]): Promise<number>;
  time(keys: string[], args: Argument[]): Promise<string>;
  fence(keys: string[], args: Argument[]): Promise<number>;
  syncBegin(keys: string[], args: Argument[]): Promise<string>;
  syncReport(keys: string[], args: Argument[]): Promise<number>;
  pagesStore(keys: string[], args: Argument[]): Promise<number>;
  readDroplets(keys: string[], args: Argument[]): Promise<string[]>;
  readSights(keys: string[], args: Argument[]): Promise<[records: string[], deas: string[]]>;
  fleetFacts(keys: string[], args: Argument[]): Promise<string[]>;
  lineage(keys: string[], args: Argument[]): Promise<number>;
  queueHeads(keys: string[], args: Argument[]): Promise<string[]>;
}

const FILES: Record<keyof Scripts, string> = {
  deasHeard: 'deas_heard',
  deaBegin: 'dea_begin',
  deaFinish: 'dea_finish',
  deasLost: 'deas_lost',
  deaForget: 'dea_forget',
  dropletsHeard: 'droplets_heard',
  exited: 'exited',
  updated: 'updated',
  desired: 'desired',
  gone: 'gone',
  commit: 'commit',
  postpone: 'postpone',
  forget: 'forget',
  settle: 'settle',
  listening: 'listening',
  swapHold: 'swap_hold',
  time: 'time',
  fence: 'fence',
  syncBegin: 'sync_begin',
  syncReport: 'sync_report',
  pagesStore: 'pages_store',
  readDroplets: 'read_droplets',
  readSights: 'read_sights',
  fleetFacts: 'fleet_facts',
  lineage: 'lineage',
  queueHeads: 'queue_heads',
};

/** Between two tries of a script that Redis could not take (ms). */
const RETRY_MS = 50;

/**
 * What passes by itself: a cluster or a failover in motion, a server that is loading its data or has lost its replicas,
 * a connection that broke in the middle of a pipeline.
 */
const PASSING =
  /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY|NOREPLICAS) |^Connection is closed|^Command aborted due to connection close|^Too many Cluster redirections/;

/**
 * Runs a script until Redis has taken it. It may run twice, where the answer was lost with the connection: each
 * script is written so that this does no harm.
 */
async function insist<T>(client: RedisClient, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      const passing = error instanceof Error && PASSING.test(error.message);
      if (!passing || client.status === 'end' || client.status === 'disconnecting') throw error;
    }
    await delay(RETRY_MS);
  }
}

const read = (file: string): string =>
  readFileSync(join(packageRoot, 'common', 'redis', 'scripts', file), 'utf8');

/**
 * Teaches a client the scripts; it loads each into Redis when it is first needed (also after a restart). While Redis
 * is away or in motion they wait, like all commands of a client that never gives up.
 */
export function defineScripts(client: RedisClient): Scripts {
  const scripts: Partial<Record<keyof Scripts, unknown>> = {};
  for (const [name, file] of Object.entries(FILES) as [keyof Scripts, string][]) {
    const lua = read(`${file}.lua`).replace(/^-- include (\w+)$/gm, (_, part) => read(`${part}.part.lua`));
    const command = `hm_${file}`;
    client.defineCommand(command, { lua });
    const run = (client as unknown as Record<string, (...args: Argument[]) => Promise<unknown>>)[command];
    if (run === undefined) throw new Error(`ioredis did not define ${command}`);
    scripts[name] = (keys: string[], args: Argument[]) =>
      insist(client, () => run.call(client, keys.length, ...keys, ...args));
  }
  return scripts as Scripts;
}
