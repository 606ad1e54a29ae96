/** Checks of what agents send. Pure: messages and times in, findings out. */
import { hash } from 'node:crypto';
import {
  type HeartbeatEntry,
  parseExited,
  parseHeartbeat,
  parseShutdown,
} from '../../../../common/messages/incoming/incoming.ts';
import { peekDeaId } from '../../../../common/messages/incoming/peek-dea-id.ts';
import { SUBJECTS } from '../../../../common/messages/subjects.ts';
import { decode, isId, oneLine } from '../../../../common/messages/validation.ts';
import type { Report } from '../findings.ts';
import { shown } from '../values.ts';
import type { Endings } from './endings.ts';
import { checkEntries, checkRawEntries } from './entries.ts';
import { checkExit } from './exits.ts';
import { Intervals } from './intervals.ts';
import { isSameSlot, needlessChange } from './steadiness.ts';

export interface AgentOptions {
  partition: string;
  dropletLostMs: number;
  report: Report;
  endings: Endings;
  /** This machine's clock (epoch seconds), for times that agents write. */
  nowS(): number;
}

interface Agent {
  intervals: Intervals;
  /** Of the latest heartbeat. */
  digest: string;
  entries: readonly HeartbeatEntry[];
  /** `dea.shutdown` came. Heartbeats may follow while it is evacuated. */
  hasLeft: boolean;
}

/** What was received, for the summary. */
export interface AgentCounts {
  agents: number;
  heartbeats: number;
  /** Heartbeats that equal the one before. */
  equal: number;
  exits: number;
  /** Entries of other partitions, which are ignored. */
  foreign: number;
}

export class AgentChecks {
  readonly #options: AgentOptions;
  readonly #agents = new Map<string, Agent>();
  /** By instance guid: who listed it first, and as what. */
  readonly #instances = new Map<string, { dea: string; entry: HeartbeatEntry }>();
  readonly #counts = { heartbeats: 0, equal: 0, exits: 0, foreign: 0 };

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  get counts(): AgentCounts {
    return { agents: this.#agents.size, ...this.#counts };
  }

  /** @param atMs of a clock that only goes forward */
  heartbeat(bytes: Uint8Array, atMs: number): void {
    this.#counts.heartbeats++;
    const { partition, report, nowS } = this.#options;
    const peeked = peekDeaId(bytes);
    const digest = hash('sha1', bytes, 'base64');
    const known = peeked === undefined ? undefined : this.#agents.get(peeked);
    if (known?.digest === digest) {
      this.#counts.equal++;
      known.intervals.heard(atMs);
      return;
    }
    const parsed = parseHeartbeat(bytes, partition);
    const decoded = decode(bytes);
    if ('reject' in parsed || 'reject' in decoded) {
      const who = 'ok' in decoded && isId(decoded.ok.dea) ? decoded.ok.dea : 'unknown';
      const reason = 'reject' in parsed ? parsed.reject : 'json';
      report(who, 'message_rejected', `${SUBJECTS.heartbeat}: ${reason}`, textOf(bytes));
      return;
    }
    const { dea, entries, rejected } = parsed.ok;
    if (peeked === undefined) report(dea, 'dea_not_last', '`dea` is not the last key', textOf(bytes));
    const before = known ?? this.#agents.get(dea);
    if (before?.digest === digest) this.#counts.equal++;
    else {
      checkEntries(dea, entries, nowS(), report);
      checkRawEntries(dea, decoded.ok, rejected, partition, report);
      const foreign = countForeign(decoded.ok.droplets, entries.length, rejected);
      this.#counts.foreign += foreign;
      this.#compareInstances(dea, entries);
      if (before !== undefined) this.#compareLists(dea, before, entries, foreign + rejected.length > 0, atMs);
    }
    const intervals = before?.intervals ?? new Intervals();
    intervals.heard(atMs);
    this.#agents.set(dea, { intervals, digest, entries, hasLeft: before?.hasLeft ?? false });
  }

  exited(bytes: Uint8Array): void {
    this.#counts.exits++;
    const { partition, report, nowS, endings } = this.#options;
    const parsed = parseExited(bytes, partition);
    if ('foreign' in parsed) return;
    const decoded = decode(bytes);
    const message = 'ok' in decoded ? decoded.ok : {};
    const { instance, reason } = message;
    const who = (typeof instance === 'string' && this.#instances.get(instance)?.dea) || 'unknown';
    if (typeof instance === 'string') endings.exited(instance);
    if ('ok' in parsed) checkExit(who, message, nowS(), report);
    else if (parsed.reject === 'reason' && (reason ?? '') === '')
      report(who, 'exit_without_reason', `${SUBJECTS.exited}: reason: missing`, textOf(bytes));
    else
      report(
        who,
        'message_rejected',
        `${SUBJECTS.exited}: ${parsed.reject}`,
        `${shown(message[parsed.reject])}`,
      );
  }

  shutdown(bytes: Uint8Array): void {
    const parsed = parseShutdown(bytes);
    if ('reject' in parsed) {
      this.#options.report(
        'unknown',
        'message_rejected',
        `${SUBJECTS.shutdown}: ${parsed.reject}`,
        textOf(bytes),
      );
      return;
    }
    const agent = this.#agents.get(parsed.ok.dea);
    if (agent !== undefined) agent.hasLeft = true;
  }

  /** `healthmanager.start`: every agent sends a heartbeat. */
  asked(atMs: number): void {
    for (const { intervals, hasLeft } of this.#agents.values()) if (!hasLeft) intervals.asked(atMs);
  }

  /** The connection was lost: what was sent meanwhile is unknown. */
  interrupt(): void {
    for (const { intervals } of this.#agents.values()) intervals.interrupt();
  }

  finish(atMs: number): void {
    const { report, endings } = this.#options;
    if (this.#counts.heartbeats === 0) report('all', 'nothing_heard', `nothing on ${SUBJECTS.heartbeat}`);
    for (const [dea, { intervals, hasLeft }] of this.#agents)
      intervals.finish(atMs, hasLeft, dea, this.#options, report);
    endings.finish(atMs, report);
  }

  #compareLists(
    dea: string,
    before: Agent,
    entries: HeartbeatEntry[],
    isPartly: boolean,
    atMs: number,
  ): void {
    const { report, endings } = this.#options;
    endings.compare(dea, before.entries, entries, atMs);
    // What is rejected or of another partition may be what changed.
    const needless = isPartly ? undefined : needlessChange(before.entries, entries);
    if (needless !== undefined) report(dea, 'unsteady_heartbeat', needless);
  }

  #compareInstances(dea: string, entries: readonly HeartbeatEntry[]): void {
    const { report } = this.#options;
    for (const entry of entries) {
      const { instance } = entry;
      const known = this.#instances.get(instance);
      if (known === undefined) this.#instances.set(instance, { dea, entry });
      else if (!isSameSlot(known.entry, entry)) {
        report(dea, 'identity_changed', 'an instance guid changed its droplet, version or index', instance);
      } else if (known.dea !== dea) {
        const other = this.#agents.get(known.dea);
        const isListed = other?.hasLeft === false && other.entries.some((one) => one.instance === instance);
        if (isListed) report(dea, 'instance_of_other', `an instance that ${known.dea} lists, too`, instance);
        else this.#instances.set(instance, { dea, entry });
      }
    }
  }
}

function countForeign(list: unknown, accepted: number, rejected: readonly { count: number }[]): number {
  const all = Array.isArray(list) ? list.length : 0;
  return all - accepted - rejected.reduce((sum, { count }) => sum + count, 0);
}

function textOf(bytes: Uint8Array): string {
  return oneLine(Buffer.from(bytes).toString('utf8', 0, 400), 160);
}
