/** Whose data a Redis prefix holds: the version of the layout, the number of slices, the partition and the controller. */
import type { Settings } from '../config/settings.ts';
import { createKeys, LAYOUT_VERSION } from './keys.ts';
import type { RedisClient } from './scripts/scripts.ts';

/** Redis holds state of another layout or of another deployment: the process must not start. */
export class LayoutError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LayoutError';
  }
}

export type LayoutSettings = Pick<Settings, 'redisPrefix' | 'slices' | 'ccPartition' | 'bulkApi'>;

const FIELDS = ['version', 'slices', 'cc_partition', 'controller'] as const;

interface Deployment {
  partition: string;
  /** Host and port of the bulk API. */
  controller: string;
}

/**
 * Called when a process starts. The first process of a deployment stores whose data it is; later ones must agree.
 *
 * @throws LayoutError when Redis holds state of another layout or of another deployment
 */
export async function claimPrefix(client: RedisClient, settings: LayoutSettings): Promise<void> {
  const { layout } = createKeys(settings.redisPrefix, settings.slices);
  const stored = await refuse(client, settings);
  // A Redis that takes no writes now does not prevent a restart.
  if (FIELDS.every((field) => stored[field] !== undefined)) return;
  const { partition, controller } = deploymentOf(settings);
  // In one step, so that of two deployments that start at once one stores all of it.
  await client
    .multi()
    .hsetnx(layout, 'version', LAYOUT_VERSION)
    .hsetnx(layout, 'slices', settings.slices)
    .hsetnx(layout, 'cc_partition', partition)
    .hsetnx(layout, 'controller', controller)
    .exec();
  await refuse(client, settings);
}

/**
 * Why no process of these settings may use this Redis; undefined if each may. Writes nothing.
 *
 * @param isAdopted the partition and the controller may differ, because the start takes the prefix over
 */
export async function layoutProblem(
  client: RedisClient,
  settings: LayoutSettings,
  { isAdopted = false } = {},
): Promise<string | undefined> {
  const stored = await client.hgetall(createKeys(settings.redisPrefix, settings.slices).layout);
  const { cc_partition: _partition, controller: _controller, ...format } = stored;
  return problemOf(settings, isAdopted ? format : stored);
}

function problemOf(settings: LayoutSettings, stored: Record<string, string>): string | undefined {
  const { redisPrefix, slices } = settings;
  const key = createKeys(redisPrefix, slices).layout;
  const { version, slices: storedSlices, cc_partition: partition, controller } = stored;
  if (version !== undefined && version !== String(LAYOUT_VERSION))
    return `${key}: expected layout ${LAYOUT_VERSION}, found ${version}: another version wrote this Redis; use another redis.prefix or an empty Redis`;
  if (storedSlices !== undefined && storedSlices !== String(slices))
    return `slices: expected ${storedSlices}, with which this Redis was set up, found ${slices}: set slices to ${storedSlices}, or use another redis.prefix`;
  const own = deploymentOf(settings);
  const differs = (name: string, expected: string, found: string) =>
    `redis.prefix ${redisPrefix}: expected ${name} ${expected}, for which this Redis was set up, found ${found}: ` +
    'use another redis.prefix, or run "hm adopt" if this deployment takes it over';
  if (partition !== undefined && partition !== own.partition)
    return differs('cc_partition', partition, own.partition);
  if (controller !== undefined && controller !== own.controller)
    return differs('bulk_api.host', controller, own.controller);
  return undefined;
}

/**
 * These settings take the prefix over from the deployment that has used it.
 *
 * @throws LayoutError when Redis holds state of another layout or number of slices
 */
export async function adoptPrefix(
  client: RedisClient,
  settings: LayoutSettings,
): Promise<{ before: Partial<Deployment>; after: Deployment }> {
  const { layout } = createKeys(settings.redisPrefix, settings.slices);
  const { cc_partition: partition, controller, ...rest } = await client.hgetall(layout);
  const problem = problemOf(settings, rest);
  if (problem !== undefined) throw new LayoutError(problem);
  const after = deploymentOf(settings);
  await client.hset(layout, { cc_partition: after.partition, controller: after.controller });
  await claimPrefix(client, settings);
  return { before: { ...(partition && { partition }), ...(controller && { controller }) }, after };
}

/** @returns what is stored */
async function refuse(client: RedisClient, settings: LayoutSettings): Promise<Record<string, string>> {
  const stored = await client.hgetall(createKeys(settings.redisPrefix, settings.slices).layout);
  const problem = problemOf(settings, stored);
  if (problem !== undefined) throw new LayoutError(problem);
  return stored;
}

/** The same controller may be reached with or without TLS. */
function deploymentOf({ ccPartition, bulkApi }: LayoutSettings): Deployment {
  return { partition: ccPartition, controller: new URL(bulkApi.host).host };
}
