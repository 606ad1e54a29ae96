/** A droplet at one moment, for the tests of how it is told. */

import { defaultSettings } from '../config/settings.ts';
import type { ObservedDroplet } from '../explain/observed-droplet.ts';
import { timesOf } from '../explain/wording.ts';
import { decodeDroplet } from '../redis/record-codec.ts';

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
 * The droplet `app`, first heard of 900 s before NOW, of which three instances of version `v` are wanted.
 *
 * @param hash fields of its record besides these, or in their place
 * @param heard how long before NOW (s) each DEA was heard
 */
export function view(hash: Hash, heard: Record<string, number> = {}): ObservedDroplet {
  const droplet = decodeDroplet('app', Object.entries({ ...BASE, ...hash }).flat());
  if (droplet === undefined) throw new Error('no record');
  const deas = Object.entries(heard).map(
    ([dea, agoS]) => [dea, { lastHeartbeatMs: NOW - agoS * S }] as const,
  );
  return { droplet, deas: new Map(deas), nowMs: NOW, settings };
}

/** An instance in words, as its field has it; `first` and `last` in seconds before NOW. */
export function instance(
  index: number,
  { state = 'RUNNING', dea = 'dea-1', first = 600, last }: Partial<Words> = {},
): string {
  const words = `${index} ${state} on ${dea} version v since 1 first ${NOW - first * S}`;
  return last === undefined ? words : `${words} last ${NOW - last * S}`;
}

interface Words {
  state: string;
  dea: string;
  first: number;
  last: number;
}
