import type { BulkApp } from '../sim/controller.ts';
import type { Report, ScriptedDea, TrueInstance } from './scripted-dea.ts';
import type { SentMessage } from './sent.ts';

/** What truly runs and what the controller truly wants. */
export interface GroundTruth {
  nowMs(): number;
  dropletLostMs: number;
  deas: Iterable<ScriptedDea>;
  /** Apps as the controller has them now. */
  app(droplet: string): BulkApp | undefined;
}

/**
 * Checks every message that leaves against the truth, which the health manager cannot see. It is written from the policy
 * and the contract alone and shares no code with the product.
 *
 * - No start is sent for a slot with an instance that a heartbeat within `droplet_lost` reported as STARTING or RUNNING, or
 *   that a connected DEA runs and has ever reported.
 * - No RUNNING instance that the controller wants is stopped, unless another copy at its slot stays.
 * - The controller's own check accepts every message, and `running` matches what was reported.
 * - One slot has at most one start on its way, and no decision is sent twice.
 */
export class Referee {
  readonly violations: string[] = [];
  readonly #truth: GroundTruth;
  readonly #ids = new Set<string>();
  readonly #starts = new Map<string, number>();
  /** Redis lost its data then, with all heartbeats and exits from before. */
  #dataLostMs = Number.NEGATIVE_INFINITY;

  constructor(truth: GroundTruth) {
    this.#truth = truth;
  }

  redisLostItsData(): void {
    this.#dataLostMs = this.#truth.nowMs();
  }

  check(sent: SentMessage): void {
    const problems = [
      ...this.#checkForm(sent),
      ...(sent.kind === 'start' ? this.#checkStart(sent) : this.#checkStop(sent)),
    ];
    for (const problem of problems) this.violations.push(`${problem}: ${JSON.stringify(sent)}`);
  }

  *#checkForm({ kind, id, decision, message }: SentMessage): Iterable<string> {
    if (id === '' || id !== decision) yield 'the headers do not name the decision';
    if (this.#ids.has(id)) yield 'sent twice';
    this.#ids.add(id);
    const keys =
      kind === 'start'
        ? 'droplet,last_updated,version,indices,running,flapping'
        : 'droplet,last_updated,instances,running,version';
    if (Object.keys(message).join() !== keys) yield 'keys differ from the contract';
  }

  *#checkStart({ droplet, index, message }: SentMessage): Iterable<string> {
    const { version, indices, running } = message as { version: string; indices: number[]; running: Counts };
    const app = this.#truth.app(droplet);
    if (indices.length !== 1 || index === undefined) yield 'not one index';
    if (app?.state !== 'STARTED') yield 'the controller refuses it: not STARTED';
    if (app?.version !== version) yield 'the controller refuses it: not the current version';
    const instances = app?.instances as number;
    if ((index as number) >= instances) yield 'the controller refuses it: index out of range';
    if ((running[version] ?? 0) >= instances) yield 'the controller refuses it: enough are running';

    const slot = this.#instances(droplet).filter((i) => i.version === version && i.index === index);
    for (const instance of slot) {
      if (this.#possible(instance).every(isLive)) yield `start of a live slot (${instance.guid})`;
      else if (this.#runsAndWasReported(instance)) yield `start of a slot that runs (${instance.guid})`;
    }
    const key = `${droplet} ${version} ${index}`;
    const before = this.#starts.get(key);
    const nowMs = this.#truth.nowMs();
    if (before !== undefined && before > this.#dataLostMs && nowMs - before <= this.#truth.dropletLostMs) {
      if (!slot.some((instance) => hasChangedSince(instance, before)))
        yield `the start of ${before} is on its way`;
    }
    this.#starts.set(key, nowMs);
    yield* this.#checkRunning(droplet, running, (i) => i.version !== version || i.index < instances, version);
  }

  *#checkStop({ droplet, message }: SentMessage): Iterable<string> {
    const { version, instances, running } = message as {
      version: string | null;
      instances: Record<string, string>;
      running: Counts;
    };
    const app = this.#truth.app(droplet);
    const named = Object.entries(instances);
    if (named.length !== 1) yield 'not one instance';
    if (version !== (app?.version ?? null)) yield 'not the live version';
    for (const [guid, of] of named) {
      if (app?.state === 'STARTED' && of === app.version) {
        if ((running[of] ?? 0) - named.length < (app.instances as number))
          yield 'the controller refuses it: too few would stay';
      } else if (app?.state === 'STARTED' && !running[app.version as string]) {
        yield 'the controller refuses it: the live version does not run';
      }
      yield* this.#checkVictim(droplet, guid, of, app);
    }
    const guids = new Set(named.map(([guid]) => guid));
    yield* this.#checkRunning(droplet, running, ({ guid }) => !guids.has(guid), undefined, named);
  }

  *#checkVictim(droplet: string, guid: string, version: string, app: BulkApp | undefined): Iterable<string> {
    const all = this.#instances(droplet);
    const victim = all.find((instance) => instance.guid === guid);
    if (victim === undefined) {
      yield 'stop of an instance that never ran';
      return;
    }
    // A controller goes by the guid, and refuses every other version of a STOPPED app.
    const expected = app?.state === 'STOPPED' ? app.version : victim.version;
    if (version !== expected) yield 'stop with a wrong version';
    if (victim.state === 'CRASHED') yield 'stop of a crashed instance';
    if (!victim.isListed || victim.state !== 'RUNNING' || app?.state !== 'STARTED') return;
    if (victim.version !== app.version || victim.index >= (app.instances as number)) return;
    const stays = all.some(
      (other) =>
        other !== victim &&
        other.version === victim.version &&
        other.index === victim.index &&
        // As far as the product can know: the DEA may just have died.
        this.#possible(other).includes('RUNNING'),
    );
    if (!stays) yield 'stop of a healthy instance';
  }

  /** Each count lies between the least and the most that ingestors may have processed by now. */
  *#checkRunning(
    droplet: string,
    running: Counts,
    counts: (instance: TrueInstance) => boolean,
    byIndex?: string,
    named: [string, string][] = [],
  ): Iterable<string> {
    const all = this.#instances(droplet).filter(counts);
    const versions = new Set([...all.map((i) => i.version), ...Object.keys(running)]);
    for (const version of versions) {
      const of = all.filter((instance) => instance.version === version);
      const count = (instances: TrueInstance[]) =>
        version === byIndex ? new Set(instances.map(({ index }) => index)).size : instances.length;
      const extra = named.filter(([, its]) => its === version).length;
      const most = count(of.filter((i) => this.#possible(i).some((state) => state === 'RUNNING'))) + extra;
      const least = count(of.filter((i) => this.#possible(i).every((state) => state === 'RUNNING'))) + extra;
      const found = running[version] ?? 0;
      if (found < least || found > most) yield `running ${version}: expected ${least}..${most}`;
      if (running[version] === 0) yield 'a count of 0';
    }
  }

  #instances(droplet: string): TrueInstance[] {
    return [...this.#truth.deas]
      .flatMap((dea) => [...dea.instances.values()])
      .filter((instance) => instance.droplet === droplet);
  }

  /** The states that the instance may have for the product: a message that was just sent may be processed or not. */
  #possible(instance: TrueInstance): string[] {
    const { processed, sent, exit } = instance;
    const reports = sent === undefined ? [processed] : [processed, sent];
    const exits = exit?.lost
      ? [undefined]
      : exit === undefined || exit.processed
        ? [exit]
        : [undefined, exit];
    return reports.flatMap((report) => exits.map((one) => this.#stateAfter(report, one)));
  }

  #stateAfter(report: Report | undefined, exit: TrueInstance['exit']): string {
    const { dropletLostMs } = this.#truth;
    if (report === undefined || report.atMs <= this.#dataLostMs) return 'NONE';
    if (this.#truth.nowMs() - report.atMs > dropletLostMs) return 'NONE';
    if (exit === undefined || exit.atMs <= this.#dataLostMs) return report.state;
    if (report.atMs > exit.atMs + 2 * dropletLostMs) return report.state;
    return exit.reason === 'DEA_EVACUATION' ? 'EVACUATING' : 'NONE';
  }

  #runsAndWasReported({ dea, isListed, state, processed, exit }: TrueInstance): boolean {
    return (
      dea.connected &&
      (processed?.atMs ?? 0) > dea.disconnectedMs &&
      isListed &&
      processed !== undefined &&
      exit === undefined &&
      isLive(state) &&
      isLive(processed.state)
    );
  }
}

type Counts = Record<string, number>;

function isLive(state: string): boolean {
  return state === 'STARTING' || state === 'RUNNING';
}

/** Whether the instance was reported as new, or ended, after a start. */
function hasChangedSince(
  { sent, processed, exit, startedMs, state }: TrueInstance,
  startMs: number,
): boolean {
  if (exit !== undefined && exit.atMs > startMs) return true;
  return (sent ?? processed) !== undefined && state !== 'CRASHED' && startedMs >= startMs;
}
