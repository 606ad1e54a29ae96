/**
 * Parsers of the messages that DEAs and controllers send over NATS (contract: messages in).
 *
 * They never throw, whatever the payload. Reasons for rejection come from a small fixed set, because they are metric labels.
 */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { EXIT_REASONS, type ExitReason } from '../../model/reasons.ts';
import type * as wire from '../schemas.ts';
import {
  decode,
  decodeJson,
  isId,
  isIndex,
  isOfPartition,
  isOneOf,
  isRecord,
  isTime,
  oneLine,
  type Parsed,
  PLAIN_ID_PATTERN,
  type Result,
} from '../validation.ts';

/** Entries of one heartbeat or one request. */
const MAX_ENTRIES = 10_000;

/** How many entries of one message were rejected for a reason. */
export interface Rejected {
  reason: string;
  count: number;
}

/** One instance as a heartbeat lists it. */
export interface HeartbeatEntry {
  droplet: string;
  version: string;
  instance: string;
  index: number;
  state: string;
  stateTimestampS: number;
}

export interface Heartbeat {
  dea: string;
  /** The valid entries of the own partition. */
  entries: HeartbeatEntry[];
  rejected: Rejected[];
}

export interface Exited {
  droplet: string;
  version: string;
  instance: string;
  index: number;
  reason: ExitReason;
  /** Only with CRASHED. */
  crashTimestampS?: number;
  /** `exit_status` */
  status?: number;
  /** `exit_description`, at most 200 characters without control characters. */
  description?: string;
}

export type StatusRequest =
  | { droplet: string; state: 'FLAPPING'; version: string }
  | { droplet: string; state: 'CRASHED' };

export interface HealthRequest {
  droplets: AppRequest[];
  rejected: Rejected[];
}

/** An app whose health or state is asked for. */
export interface AppRequest {
  droplet: string;
  version: string;
}

export interface DropletRequest {
  droplets: string[];
  rejected: Rejected[];
}

/**
 * A heartbeat as nearly all clouds send it, with guids as ids. One that matches this schema needs no other check; any other one is
 * checked entry by entry.
 */
const PlainId = Type.String({ pattern: PLAIN_ID_PATTERN });
const PlainEntry = Type.Object({
  cc_partition: Type.Optional(Type.String()),
  droplet: PlainId,
  version: PlainId,
  instance: PlainId,
  index: Type.Integer({ minimum: 0, maximum: 65_535 }),
  state: PlainId,
  state_timestamp: Type.Number({ minimum: 0 }),
});
const plainHeartbeat = Compile(
  Type.Object({ droplets: Type.Array(PlainEntry, { maxItems: MAX_ENTRIES }), dea: PlainId }),
);

/** `dea.heartbeat` */
export function parseHeartbeat(bytes: Uint8Array, partition: string): Result<Heartbeat> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const message: wire.Fields<typeof wire.HEARTBEAT> = decoded.ok;
  if (plainHeartbeat.Check(message)) {
    const entries: HeartbeatEntry[] = [];
    for (const entry of message.droplets)
      if (isOfPartition(entry, partition)) entries.push(plainEntry(entry));
    return { ok: { dea: message.dea, entries, rejected: [] } };
  }
  if (!isId(message.dea)) return { reject: 'dea' };
  const list = listOf(message);
  if ('reject' in list) return list;
  const { good, rejected } = parseEach(list.ok, (entry) => parseHeartbeatEntry(entry, partition));
  return { ok: { dea: message.dea, entries: good, rejected } };
}

function plainEntry(entry: Static<typeof PlainEntry>): HeartbeatEntry {
  return {
    droplet: entry.droplet,
    version: entry.version,
    instance: entry.instance,
    index: entry.index,
    state: entry.state,
    stateTimestampS: entry.state_timestamp,
  };
}

/** The fields that heartbeat entries and exits have in common. */
function parseInstance(
  entry: wire.Fields<typeof wire.HEARTBEAT_ENTRY | typeof wire.EXITED>,
  partition: string,
): Parsed<{ droplet: string; version: string; instance: string; index: number }> {
  const isOwn = isOfPartition(entry, partition);
  if (isOwn === undefined) return { reject: 'cc_partition' };
  if (!isOwn) return { foreign: true };
  const droplet = parseDropletId(entry.droplet);
  if (droplet === undefined) return { reject: 'droplet' };
  const { version, instance, index } = entry;
  if (!isId(version)) return { reject: 'version' };
  if (!isId(instance)) return { reject: 'instance' };
  if (!isIndex(index)) return { reject: 'index' };
  return { ok: { droplet, version, instance, index } };
}

function parseHeartbeatEntry(value: unknown, partition: string): Parsed<HeartbeatEntry> {
  if (!isRecord(value)) return { reject: 'entry' };
  const entry: wire.Fields<typeof wire.HEARTBEAT_ENTRY> = value;
  const instance = parseInstance(entry, partition);
  if (!('ok' in instance)) return instance;
  if (!isId(entry.state)) return { reject: 'state' };
  if (!isTime(entry.state_timestamp)) return { reject: 'state_timestamp' };
  return { ok: { ...instance.ok, state: entry.state, stateTimestampS: entry.state_timestamp } };
}

/** Old clouds have integers as droplet ids. */
function parseDropletId(value: unknown): string | undefined {
  if (isId(value)) return value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

/** `droplet.exited` */
export function parseExited(bytes: Uint8Array, partition: string): Parsed<Exited> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const message: wire.Fields<typeof wire.EXITED> = decoded.ok;
  const instance = parseInstance(message, partition);
  if (!('ok' in instance)) return instance;
  if (!isOneOf(EXIT_REASONS, message.reason)) return { reject: 'reason' };
  const { exit_status: status } = message;
  const description = parseDescription(message.exit_description);
  const exited: Exited = {
    ...instance.ok,
    reason: message.reason,
    // Both are only shown, so a wrong type is no reason to reject the exit.
    ...(Number.isSafeInteger(status) && { status: status as number }),
    ...(description !== '' && { description }),
  };
  if (exited.reason !== 'CRASHED') return { ok: exited };
  const crashed = message.crash_timestamp;
  if (crashed === undefined || crashed === null) return { ok: exited };
  return isTime(crashed) ? { ok: { ...exited, crashTimestampS: crashed } } : { reject: 'crash_timestamp' };
}

const MAX_DESCRIPTION = 200;

function parseDescription(value: unknown): string {
  return typeof value === 'string' ? oneLine(value, MAX_DESCRIPTION) : '';
}

/** `droplet.updated` */
export function parseUpdated(bytes: Uint8Array, partition: string): Parsed<{ droplet: string }> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const message: wire.Fields<typeof wire.UPDATED> = decoded.ok;
  const isOwn = isOfPartition(message, partition);
  if (isOwn === undefined) return { reject: 'cc_partition' };
  if (!isOwn) return { foreign: true };
  const droplet = parseDropletId(message.droplet);
  return droplet === undefined ? { reject: 'droplet' } : { ok: { droplet } };
}

/** `dea.shutdown` */
export function parseShutdown(bytes: Uint8Array): Result<{ dea: string }> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const { id }: wire.Fields<typeof wire.SHUTDOWN> = decoded.ok;
  return isId(id) ? { ok: { dea: id } } : { reject: 'id' };
}

/** `healthmanager.status` */
export function parseStatusRequest(bytes: Uint8Array): Result<StatusRequest> {
  const decoded = decode(bytes);
  if ('reject' in decoded) return decoded;
  const message: wire.Fields<typeof wire.STATUS_REQUEST> = decoded.ok;
  const { state, version } = message;
  const droplet = parseDropletId(message.droplet);
  if (droplet === undefined) return { reject: 'droplet' };
  if (state === 'CRASHED') return { ok: { droplet, state } };
  if (state !== 'FLAPPING') return { reject: 'state' };
  return isId(version) ? { ok: { droplet, state, version } } : { reject: 'version' };
}

/** `healthmanager.health` */
export function parseHealthRequest(bytes: Uint8Array): Result<HealthRequest> {
  const list = parseList(bytes);
  if ('reject' in list) return list;
  const { good, rejected } = parseEach(list.ok, parseAppEntry);
  return { ok: { droplets: good, rejected } };
}

/** `app.state` */
export function parseAppState(bytes: Uint8Array): Result<AppRequest> {
  const decoded = decode(bytes);
  return 'reject' in decoded ? decoded : parseAppEntry(decoded.ok);
}

/** `app.state.bulk`: a list without an object around it */
export function parseAppStateBulk(bytes: Uint8Array): Result<HealthRequest> {
  const decoded = decodeJson(bytes);
  return 'reject' in decoded ? decoded : parseAppStates(decoded.ok);
}

/** The decoded body of `POST /bulk_app_state`. */
export function parseAppStates(list: unknown): Result<HealthRequest> {
  if (!Array.isArray(list)) return { reject: 'no list' };
  if (list.length > MAX_ENTRIES) return { reject: 'too many droplets' };
  const { good, rejected } = parseEach(list, parseAppEntry);
  return { ok: { droplets: good, rejected } };
}

function parseAppEntry(value: unknown): Result<AppRequest> {
  if (!isRecord(value)) return { reject: 'entry' };
  const entry: wire.Fields<typeof wire.HEALTH_ENTRY> = value;
  const droplet = parseDropletId(entry.droplet);
  if (droplet === undefined) return { reject: 'droplet' };
  return isId(entry.version) ? { ok: { droplet, version: entry.version } } : { reject: 'version' };
}

/** `healthmanager.droplet` */
export function parseDropletRequest(bytes: Uint8Array): Result<DropletRequest> {
  const list = parseList(bytes);
  if ('reject' in list) return list;
  const { good, rejected } = parseEach(list.ok, (value): Parsed<string> => {
    if (!isRecord(value)) return { reject: 'entry' };
    const entry: wire.Fields<typeof wire.DROPLET_ENTRY> = value;
    const droplet = parseDropletId(entry.droplet);
    return droplet === undefined ? { reject: 'droplet' } : { ok: droplet };
  });
  return { ok: { droplets: good, rejected } };
}

function parseList(bytes: Uint8Array): Result<unknown[]> {
  const decoded = decode(bytes);
  return 'reject' in decoded ? decoded : listOf(decoded.ok);
}

function listOf(message: wire.Fields<typeof wire.HEARTBEAT | typeof wire.HEALTH_REQUEST>): Result<unknown[]> {
  const { droplets } = message;
  if (!Array.isArray(droplets)) return { reject: 'droplets' };
  return droplets.length > MAX_ENTRIES ? { reject: 'too many droplets' } : { ok: droplets };
}

/** Parses each entry; one that is rejected does not affect the others. */
function parseEach<T>(
  list: readonly unknown[],
  parse: (entry: unknown) => Parsed<T>,
): { good: T[]; rejected: Rejected[] } {
  const good: T[] = [];
  const counts = new Map<string, number>();
  for (const entry of list) {
    const parsed = parse(entry);
    if ('ok' in parsed) good.push(parsed.ok);
    else if ('reject' in parsed) counts.set(parsed.reject, (counts.get(parsed.reject) ?? 0) + 1);
  }
  return { good, rejected: Array.from(counts, ([reason, count]) => ({ reason, count })) };
}
