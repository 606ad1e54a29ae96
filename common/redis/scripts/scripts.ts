import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
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
  touchDeas(keys: string[], args: Argument[]): Promise<number[]>;
  beginHeartbeat(keys: string[], args: Argument[]): Promise<string[]>;
  finishHeartbeat(keys: string[], args: Argument[]): Promise<number>;
  listLostDeas(keys: string[], args: Argument[]): Promise<string[]>;
  expireDea(keys: string[], args: Argument[]): Promise<number>;
  storeHeartbeatDroplets(keys: string[], args: Argument[]): Promise<number>;
  storeExit(keys: string[], args: Argument[]): Promise<number>;
  storeUpdate(keys: string[], args: Argument[]): Promise<number>;
  storeDesired(keys: string[], args: Argument[]): Promise<number>;
  markGone(keys: string[], args: Argument[]): Promise<number>;
  commitDecisions(keys: string[], args: Argument[]): Promise<(number | string)[]>;
  postponeReconciles(keys: string[], args: Argument[]): Promise<number>;
  removeDroplet(keys: string[], args: Argument[]): Promise<number>;
  settleDeliveries(keys: string[], args: Argument[]): Promise<(number | string)[]>;
  publishWatermark(
    keys: string[],
    args: Argument[],
  ): Promise<[sinceMs: string, missed: '1' | '', ...gone: string[]]>;
  swapHold(keys: string[], args: Argument[]): Promise<number>;
  deploymentTime(keys: string[], args: Argument[]): Promise<string>;
  fencePass(keys: string[], args: Argument[]): Promise<number>;
  beginPass(keys: string[], args: Argument[]): Promise<string>;
  reportPass(keys: string[], args: Argument[]): Promise<number>;
  storePages(keys: string[], args: Argument[]): Promise<number>;
  readDroplets(keys: string[], args: Argument[]): Promise<string[]>;
  readDropletsWithDeas(keys: string[], args: Argument[]): Promise<[records: string[], deas: string[]]>;
  readFleetFacts(keys: string[], args: Argument[]): Promise<string[]>;
  detectFailover(keys: string[], args: Argument[]): Promise<number>;
  listQueueHeads(keys: string[], args: Argument[]): Promise<string[]>;
}

/** Each script's file, without `.lua`. */
const FILES: Record<keyof Scripts, string> = {
  touchDeas: 'heartbeats/touch_deas',
  beginHeartbeat: 'heartbeats/begin_heartbeat',
  finishHeartbeat: 'heartbeats/finish_heartbeat',
  listLostDeas: 'heartbeats/list_lost_deas',
  expireDea: 'heartbeats/expire_dea',
  storeHeartbeatDroplets: 'heartbeats/store_heartbeat_droplets',
  storeExit: 'droplets/store_exit',
  storeUpdate: 'droplets/store_update',
  storeDesired: 'sync/store_desired',
  markGone: 'sync/mark_gone',
  commitDecisions: 'droplets/commit_decisions',
  postponeReconciles: 'droplets/postpone_reconciles',
  removeDroplet: 'droplets/remove_droplet',
  settleDeliveries: 'droplets/settle_deliveries',
  publishWatermark: 'fleet/publish_watermark',
  swapHold: 'fleet/swap_hold',
  deploymentTime: 'fleet/deployment_time',
  fencePass: 'sync/fence_pass',
  beginPass: 'sync/begin_pass',
  reportPass: 'sync/report_pass',
  storePages: 'sync/store_pages',
  readDroplets: 'droplets/read_droplets',
  readDropletsWithDeas: 'droplets/read_droplets_with_deas',
  readFleetFacts: 'fleet/read_fleet_facts',
  detectFailover: 'fleet/detect_failover',
  listQueueHeads: 'fleet/list_queue_heads',
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
    const lua = read(`${file}.lua`).replace(/^-- include (\w+)$/gm, (_, part) =>
      read(join(dirname(file), `${part}.part.lua`)),
    );
    const command = `hm_${basename(file)}`;
    client.defineCommand(command, { lua });
    const run = (client as unknown as Record<string, (...args: Argument[]) => Promise<unknown>>)[command];
    if (run === undefined) throw new Error(`ioredis did not define ${command}`);
    scripts[name] = (keys: string[], args: Argument[]) =>
      insist(client, () => run.call(client, keys.length, ...keys, ...args));
  }
  return scripts as Scripts;
}
