import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis } from 'ioredis';
import { packageRoot } from '../../runtime/package-root.ts';
import type { Keys } from '../keys.ts';

/** A connection to Redis, to a single server (also through Sentinel) or to a cluster. */
export type RedisClient = Redis | Cluster;

/**
 * The scripts that run inside Redis, by folder. Beside each `<folder>/<name>.lua` a TypeScript file of the same name has the
 * one function that calls it; the head of the Lua file has its keys, arguments, result and guarantees.
 */
const SCRIPTS = {
  heartbeats: ['begin_heartbeat', 'finish_heartbeat', 'store_heartbeat_droplets', 'store_whole_heartbeat'],
  deas: ['touch_deas', 'list_lost_deas', 'expire_dea', 'release_dea', 'store_shutdown'],
  events: ['store_exit', 'store_exit_with_event', 'store_update'],
  'droplets/reads': ['read_droplets', 'read_droplets_with_deas', 'read_running'],
  droplets: [
    'commit_decisions',
    'postpone_reconciles',
    'settle_deliveries',
    'remove_droplet',
    'remove_unreadable',
  ],
  sync: ['begin_pass', 'fence_pass', 'report_pass', 'store_desired', 'store_pages', 'mark_gone'],
  operator: ['place_operator_hold', 'append_log_entry', 'request_retry', 'requeue_troubled'],
  fleet: [
    'publish_watermark',
    'read_fleet_facts',
    'remove_mistyped',
    'swap_hold',
    'deployment_time',
    'detect_failover',
    'list_queue_heads',
  ],
} as const;

export type ScriptName = (typeof SCRIPTS)[keyof typeof SCRIPTS][number];

export type ScriptArgument = string | number | Buffer;

/** Runs scripts. Only the functions beside the Lua files call it; a test replaces `run` to delay or disturb a script. */
export interface Scripts {
  /**
   * @param keys all of one hash tag in a cluster
   * @returns the reply as ioredis decodes it
   */
  run(name: ScriptName, keys: string[], args: ScriptArgument[]): Promise<unknown>;
}

/** What the function of a script needs: a part of `RedisConnections`. */
export interface ScriptAccess {
  readonly scripts: Scripts;
  readonly keys: Keys;
}

/** Between two tries of a script that Redis could not run (ms). */
const RETRY_MS = 50;

/**
 * Errors that pass: a cluster that is resharded or fails over, a server that is loading its data or has lost its replicas, a
 * connection that broke in the middle of a pipeline.
 */
const TRANSIENT =
  /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY|NOREPLICAS) |^Connection is closed|^Command aborted due to connection close|^Too many Cluster redirections/;

/**
 * Retries until Redis has run the script. It may run twice, when the reply was lost with the connection: every script is
 * repeatable.
 */
async function untilRun<T>(client: RedisClient, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      const transient = error instanceof Error && TRANSIENT.test(error.message);
      if (!transient || client.status === 'end' || client.status === 'disconnecting') throw error;
    }
    await delay(RETRY_MS);
  }
}

/** The text of a script; each line `-- include <name>` is replaced by `parts/<name>.lua`. */
function load(file: string): string {
  const lua = readFileSync(join(packageRoot, 'common', 'redis', 'scripts', `${file}.lua`), 'utf8');
  return lua.replace(/^-- include (\w+)$/gm, (_, part) => load(`parts/${part}`));
}

/**
 * Defines the scripts on a client, which loads each into Redis when it is first needed (also after a restart). While
 * Redis is not reachable, or a cluster fails over, calls wait; so do all commands of a client that never gives up.
 */
export function defineScripts(client: RedisClient): Scripts {
  const commands = new Map<ScriptName, (...args: ScriptArgument[]) => Promise<unknown>>();
  for (const [folder, names] of Object.entries(SCRIPTS)) {
    for (const name of names) {
      const command = `hm_${name}`;
      client.defineCommand(command, { lua: load(`${folder}/${name}`) });
      const run = (client as unknown as Record<string, (...args: ScriptArgument[]) => Promise<unknown>>)[
        command
      ];
      if (run === undefined)
        throw new Error(`ioredis: expected the command ${command} after defineCommand, found none`);
      commands.set(name, run);
    }
  }
  return {
    run(name, keys, args) {
      const run = commands.get(name);
      if (run === undefined)
        throw new Error(`script ${name}: expected one of the list in scripts.ts, found none`);
      return untilRun(client, () => run.call(client, keys.length, ...keys, ...args));
    },
  };
}
