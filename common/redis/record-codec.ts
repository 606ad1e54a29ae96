import Type from 'typebox';
import { Compile } from 'typebox/compile';
import type { Desired, Droplet, Exit, Instance, Outcome, PendingStop, Slot } from '../model/droplet.ts';
import {
  EVENT_START_REASONS,
  type ExitReason,
  OUTCOMES,
  PRIORITIES,
  START_REASONS,
} from '../model/reasons.ts';
import { FIELD } from './keys.ts';

/**
 * A droplet's hash in Redis, to and from its type.
 *
 * What exists a million times (the desired state, instances, exits) is kept in words: shorter than JSON and
 * readable with a bare `redis-cli`. What only troubled droplets have is JSON. Ids inside the words are
 * URI-encoded, which leaves a guid as it is.
 */

/** `STARTED 3x STAGED version <v> 256M updated 1398000000` */
export function encodeDesired(d: Desired): string {
  return `${d.state} ${d.instances}x ${d.packageState} version ${encodeURIComponent(d.version)} ${d.memoryMb}M updated ${d.updatedAtS}`;
}

const DESIRED = /^(STARTED|STOPPED) (\S+)x (STAGED|PENDING|FAILED) version (\S+) (\S+)M updated (\S+)$/;

/** @throws RecordError when the text is not as `desiredToText` writes it */
export function decodeDesired(text: string): Desired {
  const words = DESIRED.exec(text);
  if (words === null) throw new RecordError(FIELD.desired, text);
  return {
    state: words[1] as Desired['state'],
    packageState: words[3] as Desired['packageState'],
    instances: whole(FIELD.desired, text, words[2]),
    version: decode(FIELD.desired, text, words[4]),
    memoryMb: number(FIELD.desired, text, words[5]),
    updatedAtS: number(FIELD.desired, text, words[6]),
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

/** `2 RUNNING on <dea> version <v> since <state_timestamp> first <ms>[ last <ms>]` */
export function encodeInstance(i: Instance): string {
  const last = i.lastListedMs === undefined ? '' : ` last ${i.lastListedMs}`;
  return `${encodeHeartbeatEntry(i, i.dea)} first ${i.firstListedMs}${last}`;
}

const INSTANCE = /^(\S+) (\S+) on (\S+) version (\S+) since (\S+) first (\S+)(?: last (\S+))?$/;

/** @throws RecordError when the text is not as `instanceToText` writes it */
export function decodeInstance(guid: string, text: string): Instance {
  const field = FIELD.instance + guid;
  const words = INSTANCE.exec(text);
  if (words === null) throw new RecordError(field, text);
  const instance: Instance = {
    guid,
    index: whole(field, text, words[1]),
    version: decode(field, text, words[4]),
    state: decode(field, text, words[2]),
    stateTimestampS: number(field, text, words[5]),
    dea: decode(field, text, words[3]),
    firstListedMs: number(field, text, words[6]),
  };
  if (words[7] !== undefined) instance.lastListedMs = number(field, text, words[7]);
  return instance;
}

/** `2 CRASHED version <v> at <ms>[ crashed <crash_timestamp>]`: as it came; the script adds ` n <n>`. */
export function encodeReceivedExit(
  e: Pick<Exit, 'index' | 'reason' | 'version' | 'atMs' | 'crashTimestampS'>,
): string {
  const crashed = e.crashTimestampS === undefined ? '-' : String(e.crashTimestampS);
  return `${e.index} ${e.reason} version ${encodeURIComponent(e.version)} at ${e.atMs} crashed ${crashed}`;
}

/** `2 CRASHED version <v> at <ms> crashed <crash_timestamp or -> n <n>` */
export function encodeExit(e: Exit): string {
  return `${encodeReceivedExit(e)} n ${e.n}`;
}

const EXIT =
  /^(\S+) (CRASHED|STOPPED|DEA_SHUTDOWN|DEA_EVACUATION) version (\S+) at (\S+) crashed (\S+) n (\S+)$/;

/** @throws RecordError when the text is not as `exitToText` writes it */
export function decodeExit(instance: string, text: string): Exit {
  const field = FIELD.exit + instance;
  const words = EXIT.exec(text);
  if (words === null) throw new RecordError(field, text);
  const exit: Exit = {
    instance,
    index: whole(field, text, words[1]),
    version: decode(field, text, words[3]),
    reason: words[2] as ExitReason,
    atMs: number(field, text, words[4]),
    n: whole(field, text, words[6]),
  };
  if (words[5] !== '-') exit.crashTimestampS = number(field, text, words[5]);
  return exit;
}

/**
 * A droplet from the flat reply of HGETALL (`field, value, field, value, ...`).
 *
 * @returns undefined for an empty reply: there is no such droplet
 * @throws RecordError naming the field that nobody of ours has written so
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
  for (let at = 0; at + 1 < reply.length; at += 2) {
    readField(droplet, reply[at] as string, reply[at + 1] as string);
  }
  return droplet;
}

/** Most droplets have nothing to remember: they share one empty map, which a million of them need not make. */
// biome-ignore lint/suspicious/noExplicitAny: empty, so of any type
const NONE: ReadonlyMap<any, any> = new Map();

function withOne<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  const own = map === NONE ? new Map<K, V>() : (map as Map<K, V>);
  return own.set(key, value);
}

function readField(droplet: Droplet, field: string, value: string): void {
  switch (field) {
    case FIELD.rev:
      droplet.rev = whole(field, value, value);
      return;
    case FIELD.seen:
      droplet.firstSeenMs = number(field, value, value);
      return;
    case FIELD.desired:
      droplet.desired = decodeDesired(value);
      return;
    case FIELD.gone:
      droplet.goneMs = number(field, value, value);
      return;
    case FIELD.listed:
      droplet.listedMs = number(field, value, value);
      return;
    case FIELD.updated:
      droplet.updatedMs = number(field, value, value);
      return;
    case FIELD.handled:
      droplet.handledExits = number(field, value, value);
      return;
    case FIELD.handledUpdate:
      droplet.handledUpdateMs = number(field, value, value);
      return;
    case FIELD.exits:
      return;
    case FIELD.trace:
      readTrace(droplet, value);
      return;
  }
  const colon = field.indexOf(':') + 1;
  const of = field.slice(colon);
  switch (field.slice(0, colon)) {
    case FIELD.instance:
      droplet.instances.push(decodeInstance(of, value));
      return;
    case FIELD.exit:
      droplet.exits.push(decodeExit(of, value));
      return;
    case FIELD.slot: {
      const slot = json<Slot>(field, value, SlotJson);
      if (String(slot.index) !== of) throw new RecordError(field, value);
      droplet.slots = withOne(droplet.slots, slot.index, slot);
      return;
    }
    case FIELD.stop: {
      const stop = json<PendingStop>(field, value, StopJson);
      if (stop.instance !== of) throw new RecordError(field, value);
      droplet.stops = withOne(droplet.stops, of, stop);
      return;
    }
    case FIELD.outcome: {
      const outcome = json<Outcome>(field, value, OutcomeJson);
      if (outcome.id !== of) throw new RecordError(field, value);
      droplet.outcomes = withOne(droplet.outcomes, of, outcome);
      return;
    }
    case FIELD.fence:
      return;
    default:
      throw new RecordError(field, value);
  }
}

/** `<ms> <traceparent>`. One that somebody edited is passed over: nothing is decided by it. */
function readTrace(droplet: Droplet, text: string): void {
  const [at, traceparent] = text.split(' ');
  const atMs = Number(at);
  if (traceparent !== undefined && Number.isFinite(atMs)) droplet.heartbeatTrace = { atMs, traceparent };
}

export const SlotSchema = Type.Object({
  index: Type.Integer({ minimum: 0 }),
  version: Type.String(),
  crashes: Type.Integer({ minimum: 0 }),
  flapping: Type.Boolean(),
  lastCrashS: Type.Optional(Type.Number()),
  lastCrashMs: Type.Optional(Type.Number()),
  held: Type.Optional(Type.String()),
  heldFor: Type.Optional(Type.Enum(EVENT_START_REASONS)),
  start: Type.Optional(
    Type.Object({
      id: Type.String(),
      reason: Type.Enum(START_REASONS),
      priority: Type.Enum(PRIORITIES),
      decidedMs: Type.Number(),
      dueMs: Type.Optional(Type.Number()),
    }),
  ),
});

export const StopSchema = Type.Object({
  instance: Type.String(),
  id: Type.String(),
  reason: Type.String(),
  decidedMs: Type.Number(),
  held: Type.Optional(Type.String()),
});

export const OutcomeSchema = Type.Object({
  id: Type.String(),
  outcome: Type.Enum(OUTCOMES),
  atMs: Type.Number(),
  why: Type.Optional(Type.String()),
  by: Type.Optional(Type.String()),
});

const SlotJson = Compile(SlotSchema);
const StopJson = Compile(StopSchema);
const OutcomeJson = Compile(OutcomeSchema);

function json<T>(field: string, text: string, schema: { Check(value: unknown): boolean }): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RecordError(field, text, { cause });
  }
  if (!schema.Check(value)) throw new RecordError(field, text);
  return value as T;
}

function decode(field: string, text: string, word: string | undefined): string {
  if (word === undefined || word === '') throw new RecordError(field, text);
  if (!word.includes('%')) return word;
  try {
    return decodeURIComponent(word);
  } catch (cause) {
    throw new RecordError(field, text, { cause });
  }
}

function number(field: string, text: string, word: string | undefined): number {
  const value = Number(word);
  if (word === undefined || word.trim() === '' || !Number.isFinite(value)) throw new RecordError(field, text);
  return value;
}

function whole(field: string, text: string, word: string | undefined): number {
  const value = number(field, text, word);
  if (!Number.isInteger(value) || value < 0) throw new RecordError(field, text);
  return value;
}

/** A field of a droplet's hash that is not as the health manager writes it: somebody edited it by hand. */
export class RecordError extends Error {
  readonly field: string;

  constructor(field: string, text: string, options?: ErrorOptions) {
    super(`droplet record: field ${field}: cannot be read: ${JSON.stringify(text.slice(0, 200))}`, options);
    this.name = 'RecordError';
    this.field = field;
  }
}
