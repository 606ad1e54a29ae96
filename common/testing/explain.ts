/** A droplet at one moment, for the tests of its story and its present state. */

import { defaultSettings } from '../config/settings.ts';
import type { ObservedDroplet } from '../explain/observed-droplet.ts';
import { timesOf } from '../explain/wording.ts';
import { decodeDroplet } from '../redis/records/record-codec.ts';

const { policy: settings } = defaultSettings();

/** 15:14:56 UTC */
export const NOW = Date.UTC(2024, 4, 6, 15, 14, 56);
export const S = 1000;
export const times = timesOf(NOW, true);

/** Fields of a droplet's record. */
export type Hash = Record<string, string>;

const BASE: Hash = {
  rev: '1',
  seen: String(NOW - 900 * S),
  desired: 'STARTED 3x STAGED version v 256M updated 1398000000',
};

/**
 * The droplet `app`, first seen 900 s before NOW, which wants three instances of version `v`.
 *
 * @param hash further fields of its record, or replacements
 * @param heartbeats how long before NOW (s) the last heartbeat of each DEA was
 */
export function view(hash: Hash, heartbeats: Record<string, number> = {}): ObservedDroplet {
  const droplet = decodeDroplet('app', Object.entries({ ...BASE, ...hash }).flat());
  if (droplet === undefined) throw new Error('no record');
  const deas = Object.entries(heartbeats).map(
    ([dea, agoS]) => [dea, { lastHeartbeatMs: NOW - agoS * S }] as const,
  );
  return { droplet, deas: new Map(deas), nowMs: NOW, lostBeforeMs: NOW - settings.dropletLostMs, settings };
}

/** An instance as encoded in its field; `first` and `last` in seconds before NOW. */
export function instance(
  index: number,
  { state = 'RUNNING', dea = 'dea-1', first = 600, last }: Partial<InstanceFields> = {},
): string {
  const encoded = `${index} ${state} on ${dea} version v since 1 first ${NOW - first * S}`;
  return last === undefined ? encoded : `${encoded} last ${NOW - last * S}`;
}

interface InstanceFields {
  state: string;
  dea: string;
  first: number;
  last: number;
}
