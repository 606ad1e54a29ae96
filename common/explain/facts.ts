/** The facts of a droplet's past: from the decision log, and from its record where the log has no entry. Pure. */
import type { LogEntry, LogKind } from '../model/decision-log.ts';
import type { Droplet, Instance } from '../model/droplet.ts';
import { exitsByInstance, lastHeartbeatMs } from '../policy/fleet/liveness.ts';
import type { PolicySettings } from '../policy/settings.ts';
import type { ObservedDroplet } from './observed-droplet.ts';

/** What is in the record where the log has no entry. */
export const RECORD_FACT_KINDS = [
  /** The droplet was first seen, in a message or in a bulk pass. */
  'first_seen',
  /** Instances were first listed by a heartbeat. */
  'first_listed',
  /** The last heartbeat that listed instances: the DEA's next heartbeat did not. */
  'unlisted',
  /** The last heartbeat of a DEA that is silent now. */
  'silent',
] as const;
export type FactKind = LogKind | (typeof RECORD_FACT_KINDS)[number];

/** One thing that happened: an entry of the log, or derived from the record. */
export interface Fact extends Omit<LogEntry, 'kind'> {
  kind: FactKind;
  /** With `first_listed`, `unlisted` and `silent`. */
  indices?: number[];
  /** With `up` and `first_listed`: the state in the latest heartbeat. */
  now?: string;
  /** Absent: it is from the log. */
  source?: 'record';
}

/**
 * All known facts of the droplet's past, oldest first.
 *
 * @param view undefined: there is no record
 */
export function factsOf(log: readonly LogEntry[], view: ObservedDroplet | undefined): Fact[] {
  const facts: Fact[] = log.map((entry) => ({ ...entry }));
  if (view !== undefined) {
    const byGuid = new Map(view.droplet.instances.map((instance) => [instance.guid, instance]));
    for (const fact of facts) if (fact.kind === 'up') addNow(fact, byGuid.get(fact.instance ?? ''));
    facts.push(...dropletFacts(view, log), ...exitFacts(view, log), ...instanceFacts(view, log));
  }
  // The sort is stable: facts of one moment keep the order of the log, after those of the record.
  const rank = (fact: Fact) => (fact.source === 'record' ? 0 : 1);
  return facts.sort((a, b) => a.atMs - b.atMs || rank(a) - rank(b));
}

function addNow(fact: Fact, instance: Instance | undefined): void {
  if (instance !== undefined && instance.lastListedMs === undefined) fact.now = instance.state;
}

function dropletFacts({ droplet }: ObservedDroplet, log: readonly LogEntry[]): Fact[] {
  const { id, firstSeenMs, updatedMs, goneMs } = droplet;
  const common = { droplet: id, source: 'record' } as const;
  const facts: Fact[] = [{ ...common, kind: 'first_seen', atMs: firstSeenMs }];
  const isLogged = (kind: LogKind, fromMs: number) =>
    log.some((entry) => entry.kind === kind && entry.atMs >= fromMs);
  if (updatedMs !== undefined && !isLogged('updated', updatedMs)) {
    facts.push({ ...common, kind: 'updated', atMs: updatedMs });
  }
  if (goneMs !== undefined && !isLogged('gone', goneMs)) {
    facts.push({ ...common, kind: 'gone', atMs: goneMs, listedMs: goneMs });
  }
  return facts;
}

function exitFacts({ droplet }: ObservedDroplet, log: readonly LogEntry[]): Fact[] {
  return droplet.exits
    .filter(
      ({ instance, reason }) =>
        !log.some((entry) => entry.kind === 'exit' && entry.instance === instance && entry.exit === reason),
    )
    .map(({ instance, index, version, reason, atMs, status, description }) => {
      const dea = droplet.instances.find(({ guid }) => guid === instance)?.dea;
      return {
        ...{
          atMs,
          droplet: droplet.id,
          kind: 'exit',
          source: 'record',
          exit: reason,
          index,
          version,
          instance,
        },
        ...(dea === undefined ? {} : { dea }),
        ...(status === undefined ? {} : { exitStatus: status }),
        ...(description === undefined ? {} : { exitDescription: description }),
      };
    });
}

/** One fact for all instances of one version on one DEA that have it in common at one moment. */
function instanceFacts(
  { droplet, deas, lostBeforeMs, settings }: ObservedDroplet,
  log: readonly LogEntry[],
): Fact[] {
  const groups = new Map<string, Fact>();
  const add = (kind: FactKind, atMs: number, { dea, version, index }: Instance, more: Partial<Fact>) => {
    const key = JSON.stringify([kind, atMs, dea, version, more]);
    const known = groups.get(key);
    if (known?.indices !== undefined) known.indices.push(index);
    else
      groups.set(key, {
        atMs,
        droplet: droplet.id,
        kind,
        source: 'record',
        dea,
        version,
        ...more,
        indices: [index],
      });
  };
  const exits = exitsByInstance(droplet.exits);
  // Redis returns the fields of a hash in any order.
  for (const instance of [...droplet.instances].sort((a, b) => a.index - b.index)) {
    const { guid, dea, state, firstListedMs, lastListedMs } = instance;
    // Some DEAs list a crashed instance under a new guid: no fact of its own if the crash itself is known.
    if (state === 'CRASHED' && isCrashKnown(instance, droplet, log, settings)) continue;
    const isLogged = log.some(({ kind, instance: of, again }) => kind === 'up' && of === guid && !again);
    const now = lastListedMs === undefined ? { now: state } : {};
    if (!isLogged) add('first_listed', firstListedMs, instance, { ...now, state });
    const ended = exits.get(guid);
    if (ended !== undefined && ended.reason !== 'DEA_EVACUATION') continue;
    if (lastListedMs !== undefined) add('unlisted', lastListedMs, instance, { state });
    // Of an expired DEA the last heartbeat is not known any more.
    else if (deas.has(dea) && lastHeartbeatMs(instance, deas) < lostBeforeMs) {
      add('silent', lastHeartbeatMs(instance, deas), instance, { state });
    }
  }
  for (const { indices } of groups.values()) indices?.sort((a, b) => a - b);
  return [...groups.values()];
}

function isCrashKnown(
  { index, version, firstListedMs }: Instance,
  { exits }: Droplet,
  log: readonly LogEntry[],
  { dropletLostMs }: PolicySettings,
): boolean {
  const isNear = (atMs: number) => Math.abs(firstListedMs - atMs) <= dropletLostMs;
  return (
    exits.some(
      (e) => e.index === index && e.version === version && e.reason === 'CRASHED' && isNear(e.atMs),
    ) || log.some((e) => e.index === index && e.version === version && e.exit === 'CRASHED' && isNear(e.atMs))
  );
}
