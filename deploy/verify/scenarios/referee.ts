import type { FakeApp } from '../../../common/testing/fake-cc.ts';
import type { Dea, TrueInstance, Word } from './dea.ts';
import type { Sent } from './sent.ts';

/** What the referee knows: the truth. */
export interface Truth {
  nowMs(): number;
  dropletLostMs: number;
  deas: Iterable<Dea>;
  /** Apps as the controller has them now. */
  app(droplet: string): FakeApp | undefined;
}

/**
 * Looks at every message that leaves, and knows what the health manager does not: the truth. Written from the
 * words of policy and contract alone, and with nothing of the code that it watches.
 *
 * - No start is asked for a slot that has an instance that was heard STARTING or RUNNING within `droplet_lost`, or
 *   that a DEA which is not silent runs and has ever reported.
 * - No instance that the controller wants and that is RUNNING is stopped, unless another copy at its slot stays.
 * - The controller's own check accepts every message, and `running` is what was heard.
 * - One slot has one start on its way, and no decision leaves twice.
 */
export class Referee {
  readonly faults: string[] = [];
  readonly #truth: Truth;
  readonly #ids = new Set<string>();
  readonly #starts = new Map<string, number>();
  /** Heartbeats and exits from before are not known any more: the data in Redis was lost. */
  #forgotMs = Number.NEGATIVE_INFINITY;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** What was heard until now will not be known any more. */
  redisLosesItsData(): void {
    this.#forgotMs = this.#truth.nowMs();
  }

  check(sent: Sent): void {
    const problems = [
      ...this.#checkForm(sent),
      ...(sent.kind === 'start' ? this.#checkStart(sent) : this.#checkStop(sent)),
    ];
    for (const problem of problems) this.faults.push(`${problem}: ${JSON.stringify(sent)}`);
  }

  *#checkForm({ kind, id, decision, message }: Sent): Iterable<string> {
    if (id === '' || id !== decision) yield 'the headers do not name the decision';
    if (this.#ids.has(id)) yield 'sent twice';
    this.#ids.add(id);
    const keys =
      kind === 'start'
        ? 'droplet,last_updated,version,indices,running,flapping'
        : 'droplet,last_updated,instances,running,version';
    if (Object.keys(message).join() !== keys) yield 'other keys than the contract has';
  }

  *#checkStart({ droplet, index, message }: Sent): Iterable<string> {
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
    if (before !== undefined && before > this.#forgotMs && nowMs - before <= this.#truth.dropletLostMs) {
      if (!slot.some((instance) => hasHappenedSince(instance, before)))
        yield `the start of ${before} is on its way`;
    }
    this.#starts.set(key, nowMs);
    yield* this.#checkRunning(droplet, running, (i) => i.version !== version || i.index < instances, version);
  }

  *#checkStop({ droplet, message }: Sent): Iterable<string> {
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

  *#checkVictim(droplet: string, guid: string, version: string, app: FakeApp | undefined): Iterable<string> {
    const all = this.#instances(droplet);
    const victim = all.find((instance) => instance.guid === guid);
    if (victim === undefined) {
      yield 'stop of an instance that nobody ever ran';
      return;
    }
    if (victim.version !== version) yield 'stop with a wrong version';
    if (victim.state === 'CRASHED') yield 'stop of a crashed one';
    if (!victim.there || victim.state !== 'RUNNING' || app?.state !== 'STARTED') return;
    if (victim.version !== app.version || victim.index >= (app.instances as number)) return;
    const stays = all.some(
      (other) =>
        other !== victim &&
        other.version === victim.version &&
        other.index === victim.index &&
        // As far as can be known: its host may just have died.
        this.#possible(other).includes('RUNNING'),
    );
    if (!stays) yield 'stop of a healthy instance';
  }

  /** Each count is between what must and what may have been heard at this moment. */
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
      const what = (instances: TrueInstance[]) =>
        version === byIndex ? new Set(instances.map(({ index }) => index)).size : instances.length;
      const extra = named.filter(([, its]) => its === version).length;
      const most = what(of.filter((i) => this.#possible(i).some((state) => state === 'RUNNING'))) + extra;
      const least = what(of.filter((i) => this.#possible(i).every((state) => state === 'RUNNING'))) + extra;
      const said = running[version] ?? 0;
      if (said < least || said > most) yield `running ${version}: expected ${least}..${most}`;
      if (running[version] === 0) yield 'a count of 0';
    }
  }

  #instances(droplet: string): TrueInstance[] {
    return [...this.#truth.deas]
      .flatMap((dea) => [...dea.instances.values()])
      .filter((instance) => instance.droplet === droplet);
  }

  /** What the instance may count as: what is just being said may have been taken in or not. */
  #possible(instance: TrueInstance): string[] {
    const { heard, said, exit } = instance;
    const words = said === undefined ? [heard] : [heard, said];
    const exits = exit?.lost ? [undefined] : exit === undefined || exit.takenIn ? [exit] : [undefined, exit];
    return words.flatMap((word) => exits.map((one) => this.#standing(word, one)));
  }

  #standing(word: Word | undefined, exit: TrueInstance['exit']): string {
    const { dropletLostMs } = this.#truth;
    if (word === undefined || word.atMs <= this.#forgotMs) return 'NONE';
    if (this.#truth.nowMs() - word.atMs > dropletLostMs) return 'NONE';
    if (exit === undefined || exit.atMs <= this.#forgotMs) return word.state;
    if (word.atMs > exit.atMs + 2 * dropletLostMs) return word.state;
    return exit.reason === 'DEA_EVACUATION' ? 'EVACUATING' : 'NONE';
  }

  #runsAndWasReported({ dea, there, state, heard, exit }: TrueInstance): boolean {
    return (
      dea.alive &&
      (heard?.atMs ?? 0) > dea.silentMs &&
      there &&
      heard !== undefined &&
      exit === undefined &&
      isLive(state) &&
      isLive(heard.state)
    );
  }
}

type Counts = Record<string, number>;

function isLive(state: string): boolean {
  return state === 'STARTING' || state === 'RUNNING';
}

/** Whether the instance was heard to come up, or ended, after a start. */
function hasHappenedSince({ said, heard, exit, bornMs, state }: TrueInstance, startMs: number): boolean {
  if (exit !== undefined && exit.atMs > startMs) return true;
  return (said ?? heard) !== undefined && state !== 'CRASHED' && bornMs >= startMs;
}
