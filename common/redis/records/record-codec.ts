import type { Desired, Droplet, Exit, Instance, ListedApp } from '../../model/droplet.ts';
import type { ExitReason } from '../../model/reasons.ts';
import { FIELD } from '../keys.ts';
import { eachPair } from './pairs.ts';
import { RecordError } from './record-error.ts';
import { decodeJson, outcomeJson, slotJson, stopJson } from './record-json.ts';

/**
 * Encodes and decodes a droplet's hash in Redis.
 *
 * Values that exist a million times (desired states, instances, exits) are short texts: shorter than JSON, and readable in a
 * plain `redis-cli`. Values that only troubled droplets have are JSON. Ids inside a text are URI-encoded, which leaves a
 * guid as it is.
 */

/** `STARTED 3x STAGED version <v> 256M updated 1398000000`; of an entry without a time `updated -`, which the script replaces */
export function encodeDesired(d: ListedApp): string {
  return `${d.state} ${d.instances}x ${d.packageState} version ${encodeURIComponent(d.version)} ${d.memoryMb}M updated ${d.updatedAtS ?? '-'}`;
}

const DESIRED = /^(STARTED|STOPPED) (\S+)x (STAGED|PENDING|FAILED) version (\S+) (\S+)M updated (\S+)$/;

/** @throws RecordError when the text is not in the format of `encodeDesired` */
export function decodeDesired(text: string): Desired {
  const field = FIELD.desired;
  const parts = DESIRED.exec(text);
  if (parts === null) throw new RecordError(field, text);
  return {
    state: parts[1] as Desired['state'],
    packageState: parts[3] as Desired['packageState'],
    instances: decodeCount(field, text, parts[2]),
    version: decodeId(field, text, parts[4]),
    memoryMb: decodeNumber(field, text, parts[5]),
    updatedAtS: decodeNumber(field, text, parts[6]),
  };
}

/** `2 RUNNING on <dea> version <v> since <state_timestamp>`: what a heartbeat gives; the script appends ` first <ms>`. */
export function encodeHeartbeatEntry(
  entry: Pick<Instance, 'index' | 'state' | 'version' | 'stateTimestampS'>,
  dea: string,
): string {
  const { index, state, version, stateTimestampS } = entry;
  return `${index} ${encodeURIComponent(state)} on ${encodeURIComponent(dea)} version ${encodeURIComponent(version)} since ${stateTimestampS}`;
}

/** `2 RUNNING on <dea> version <v> since <state_timestamp> first <ms>[ contested <ms>][ last <ms>]` */
export function encodeInstance(i: Instance): string {
  const contested = i.contestedMs === undefined ? '' : ` contested ${i.contestedMs}`;
  const last = i.lastListedMs === undefined ? '' : ` last ${i.lastListedMs}`;
  return `${encodeHeartbeatEntry(i, i.dea)} first ${i.firstListedMs}${contested}${last}`;
}

const INSTANCE =
  /^(\S+) (\S+) on (\S+) version (\S+) since (\S+) first (\S+)(?: contested (\S+))?(?: last (\S+))?$/;

/** @throws RecordError when the text is not in the format of `encodeInstance` */
export function decodeInstance(guid: string, text: string): Instance {
  const field = FIELD.instance + guid;
  const parts = INSTANCE.exec(text);
  if (parts === null) throw new RecordError(field, text);
  const instance: Instance = {
    guid,
    index: decodeCount(field, text, parts[1]),
    version: decodeId(field, text, parts[4]),
    state: decodeId(field, text, parts[2]),
    stateTimestampS: decodeNumber(field, text, parts[5]),
    dea: decodeId(field, text, parts[3]),
    firstListedMs: decodeNumber(field, text, parts[6]),
  };
  if (parts[7] !== undefined) instance.contestedMs = decodeNumber(field, text, parts[7]);
  if (parts[8] !== undefined) instance.lastListedMs = decodeNumber(field, text, parts[8]);
  return instance;
}

/**
 * `2 CRASHED version <v> at <ms> crashed <crash_timestamp or ->[ status <n>][ because <description>]`: what was received; the
 * script appends ` n <n>`.
 */
export function encodeReceivedExit(e: Omit<Exit, 'instance' | 'n'>): string {
  const crashed = e.crashTimestampS === undefined ? '-' : String(e.crashTimestampS);
  const status = e.status === undefined ? '' : ` status ${e.status}`;
  const because = e.description === undefined ? '' : ` because ${encodeURIComponent(e.description)}`;
  return `${e.index} ${e.reason} version ${encodeURIComponent(e.version)} at ${e.atMs} crashed ${crashed}${status}${because}`;
}

/** `2 CRASHED version <v> at <ms> crashed <crash_timestamp or ->[ status <n>][ because <description>] n <n>` */
export function encodeExit(e: Exit): string {
  return `${encodeReceivedExit(e)} n ${e.n}`;
}

const EXIT =
  /^(\S+) (CRASHED|STOPPED|DEA_SHUTDOWN|DEA_EVACUATION) version (\S+) at (\S+) crashed (\S+)(?: status (\S+))?(?: because (\S+))? n (\S+)$/;

/** @throws RecordError when the text is not in the format of `encodeExit` */
export function decodeExit(instance: string, text: string): Exit {
  const field = FIELD.exit + instance;
  const parts = EXIT.exec(text);
  if (parts === null) throw new RecordError(field, text);
  const exit: Exit = {
    instance,
    index: decodeCount(field, text, parts[1]),
    version: decodeId(field, text, parts[3]),
    reason: parts[2] as ExitReason,
    atMs: decodeNumber(field, text, parts[4]),
    n: decodeCount(field, text, parts[8]),
  };
  if (parts[5] !== '-') exit.crashTimestampS = decodeNumber(field, text, parts[5]);
  if (parts[6] !== undefined) exit.status = decodeNumber(field, text, parts[6]);
  if (parts[7] !== undefined) exit.description = decodeId(field, text, parts[7]);
  return exit;
}

/**
 * A droplet from the flat reply of HGETALL (`field, value, field, value, ...`).
 *
 * @returns undefined for an empty reply: there is no such droplet
 * @throws RecordError naming the field that is not in the format this program writes
 */
export function decodeDroplet(id: string, reply: readonly string[]): Droplet | undefined {
  if (reply.length === 0) return undefined;
  const droplet: Droplet = {
    id,
    rev: 0,
    firstSeenMs: 0,
    instances: [],
    exits: [],
    handledExits: 0,
    slots: NONE,
    stops: NONE,
    outcomes: NONE,
  };
  eachPair(reply, (field, value) => setField(droplet, field, value));
  return droplet;
}

/** The one empty map that all droplets without slots, stops or outcomes share: a million maps would cost memory. */
// biome-ignore lint/suspicious/noExplicitAny: empty, so of any type
const NONE: ReadonlyMap<any, any> = new Map();

function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  const own = map === NONE ? new Map<K, V>() : (map as Map<K, V>);
  return own.set(key, value);
}

function setField(droplet: Droplet, field: string, value: string): void {
  switch (field) {
    case FIELD.rev:
      droplet.rev = decodeRevision(value);
      return;
    case FIELD.seen:
      droplet.firstSeenMs = decodeNumber(field, value, value);
      return;
    case FIELD.desired:
      droplet.desired = decodeDesired(value);
      return;
    case FIELD.gone:
      droplet.goneMs = decodeNumber(field, value, value);
      return;
    case FIELD.listed:
      droplet.listedMs = decodeNumber(field, value, value);
      return;
    case FIELD.versionSince:
      droplet.versionSinceMs = decodeNumber(field, value, value);
      return;
    case FIELD.rebuilt:
      droplet.rebuiltMs = decodeNumber(field, value, value);
      return;
    case FIELD.undesired:
      droplet.undesiredMs = decodeNumber(field, value, value);
      return;
    case FIELD.updated:
      droplet.updatedMs = decodeNumber(field, value, value);
      return;
    case FIELD.handled:
      droplet.handledExits = decodeNumber(field, value, value);
      return;
    case FIELD.settlements:
      droplet.settlements = decodeCount(field, value, value);
      return;
    case FIELD.handledUpdate:
      droplet.handledUpdateMs = decodeNumber(field, value, value);
      return;
    case FIELD.exits:
      return;
    case FIELD.trace:
      setTrace(droplet, value);
      return;
  }
  const colon = field.indexOf(':') + 1;
  const id = field.slice(colon);
  switch (field.slice(0, colon)) {
    case FIELD.instance:
      droplet.instances.push(decodeInstance(id, value));
      return;
    case FIELD.exit:
      droplet.exits.push(decodeExit(id, value));
      return;
    case FIELD.slot: {
      const slot = decodeJson(field, value, slotJson);
      if (String(slot.index) !== id) throw new RecordError(field, value);
      droplet.slots = withEntry(droplet.slots, slot.index, slot);
      return;
    }
    case FIELD.stop: {
      const stop = decodeJson(field, value, stopJson);
      if (stop.instance !== id) throw new RecordError(field, value);
      droplet.stops = withEntry(droplet.stops, id, stop);
      return;
    }
    case FIELD.outcome: {
      const outcome = decodeJson(field, value, outcomeJson);
      if (outcome.id !== id) throw new RecordError(field, value);
      droplet.outcomes = withEntry(droplet.outcomes, id, outcome);
      return;
    }
    case FIELD.retry:
      droplet.retries = new Map([
        ...(droplet.retries ?? []),
        [decodeCount(field, id, id), decodeNumber(field, value, value)],
      ]);
      return;
    case FIELD.fence:
      return;
    default:
      throw new RecordError(field, value);
  }
}

/** `<ms> <traceparent>`. An invalid one is ignored: no decision depends on it. */
function setTrace(droplet: Droplet, text: string): void {
  const [at, traceparent] = text.split(' ');
  const atMs = Number(at);
  if (traceparent !== undefined && Number.isFinite(atMs)) droplet.heartbeatTrace = { atMs, traceparent };
}

/** @throws RecordError */
export function decodeId(field: string, text: string, part: string | undefined): string {
  if (part === undefined || part === '') throw new RecordError(field, text);
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new RecordError(field, text, { cause });
  }
}

function decodeNumber(field: string, text: string, part: string | undefined): number {
  const value = Number(part);
  if (part === undefined || part.trim() === '' || !Number.isFinite(value)) throw new RecordError(field, text);
  return value;
}

/** A revision that the scripts can increase (`is_count.lua`). */
function decodeRevision(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new RecordError(FIELD.rev, text);
  return Number(text);
}

function decodeCount(field: string, text: string, part: string | undefined): number {
  const value = decodeNumber(field, text, part);
  if (!Number.isInteger(value) || value < 0) throw new RecordError(field, text);
  return value;
}
