import { triggerEvent } from '../chaos/events.ts';
import { Random } from '../chaos/random.ts';
import { findFaultsAtRest, mayLastMs } from './at-rest.ts';
import { FAULTS } from './faults/faults.ts';
import type { Episode, Item } from './history.ts';
import { catchCrashes } from './world/crashes.ts';
import { drawSize, World } from './world/world.ts';

/** What a run of one seed came to. */
export interface RunResult {
  seed: number;
  /** Wrong starts and stops, lost instances, faults at rest, and errors. */
  problems: string[];
  /** The episode with the first problem, counted from 0. */
  failedEpisode?: number;
  episodes: number;
  faults: Map<string, number>;
  events: number;
  starts: number;
  stops: number;
  unknowable: number;
  slowestRecoveryMs: number;
  /** Virtual time. */
  passedMs: number;
  calls: number;
  /** Equal for two runs that did the same. */
  digest: number;
  /** What is known about the droplets of the problems; only when there are some. */
  story: string[];
}

export interface RunOptions {
  seed: number;
  episodes: readonly Episode[];
  /** Gathers the story of the droplets concerned after a problem. */
  tell?(world: World, problems: readonly string[]): Promise<string[]>;
  progress?(text: string): void;
}

/** After the recovery nothing happens for this long, before Redis is checked. */
const REST_MS = 6_000;
/** What data faults deleted is whole again within this time after the last of them; it is checked this often. */
const CHECK_EVERY_MS = 6_000;
/** Losses of one droplet that are found one after the other. */
const MOST_LOSSES = 3;
/** A fault takes at most this long; then something of the simulation itself waits for ever. */
const FAULT_ENDS_WITHIN_MS = 400_000;

/** Runs a history from a new deployment, up to the first episode with a problem. */
export async function runHistory({ seed, episodes, tell, progress }: RunOptions): Promise<RunResult> {
  const world = await World.start(seed, drawSize(new Random(seed)));
  const { ledger } = world.cloud;
  const stopCatching = catchCrashes(world);
  const result: RunResult = {
    ...{ seed, problems: [], episodes: 0, faults: new Map(), events: 0, starts: 0, stops: 0, unknowable: 0 },
    ...{ slowestRecoveryMs: 0, passedMs: 0, calls: 0, digest: 0, story: [] },
  };
  try {
    const left = await world.waitForRecovery([]);
    if (left.length > 0) ledger.notRecovered(left);
    for (const [number, episode] of episodes.entries()) {
      if (!ledger.right) break;
      await runEpisode(world, episode, result);
      result.episodes++;
      if (!ledger.right) result.failedEpisode = number;
      progress?.(`episode ${number + 1}: ${episode.length} items, ${ledger.problems.length} problems`);
    }
    result.problems = [...ledger.problems];
    if (!ledger.right && tell !== undefined) result.story = await tell(world, result.problems);
  } finally {
    const { starts, stops } = ledger;
    const unknowable = [...ledger.unknowable.values()].reduce((sum, count) => sum + count, 0);
    const { executed: calls, digest } = world.machine.redis;
    Object.assign(result, {
      starts,
      stops,
      unknowable,
      calls,
      digest,
      passedMs: world.machine.time.passedMs,
    });
    stopCatching();
    world.stop();
  }
  return result;
}

async function runEpisode(world: World, episode: Episode, result: RunResult): Promise<void> {
  const { machine, cloud } = world;
  const beganMs = machine.time.nowMs;
  const faults: Promise<void>[] = [];
  for (const item of episode) {
    await machine.runUntil(beganMs + item.atMs);
    if (item.what === 'fault') {
      result.faults.set(item.name, (result.faults.get(item.name) ?? 0) + 1);
      faults.push(startFault(world, item));
    } else {
      world.within(() => triggerEvent(world.forEvent(new Random(item.seed)), item.name));
      result.events++;
    }
  }
  await ended(world, Promise.all(faults));
  while ([...cloud.deas.all].some(({ connected, evacuating, lies }) => !connected || evacuating || lies))
    await machine.runUntil(machine.time.nowMs + 100);
  const recoveryBeganMs = machine.time.nowMs;
  const kinds = episode.flatMap(({ what, name }) => (what === 'fault' ? (FAULTS[name] ?? []) : []));
  const left = await world.waitForRecovery(kinds);
  if (left.length > 0) {
    cloud.ledger.notRecovered(left);
    return;
  }
  result.slowestRecoveryMs = Math.max(result.slowestRecoveryMs, machine.time.nowMs - recoveryBeganMs);
  await machine.runUntil(machine.time.nowMs + REST_MS);
  const allowedMs = Math.max(0, ...kinds.map((kind) => kind.recoversWithinMs ?? 0));
  for (const fault of await faultsAtRest(world, recoveryBeganMs, allowedMs))
    cloud.ledger.fail(`at rest: ${fault}`);
}

/**
 * What is not as it should be at rest for longer than allowed (policy: self-healing). Two losses of one droplet may be found one after
 * the other: an edited record that has lost its index entry is read, and removed, when it is in the index again. So each has its time,
 * from the recovery or from when it was first seen.
 */
async function faultsAtRest(world: World, recoveryBeganMs: number, allowedMs: number): Promise<string[]> {
  const { machine } = world;
  const wholeByMs = new Map<string, number>();
  let sinceMs = recoveryBeganMs;
  for (;;) {
    const found = await findFaultsAtRest(world);
    for (const fault of found)
      if (!wholeByMs.has(fault)) wholeByMs.set(fault, sinceMs + Math.max(allowedMs, mayLastMs(fault)));
    const { nowMs } = machine.time;
    const late = found.filter((fault) => nowMs > (wholeByMs.get(fault) as number));
    if (found.length === 0 || late.length > 0) return late;
    const longestMs = MOST_LOSSES * Math.max(allowedMs, ...found.map(mayLastMs));
    if (nowMs > recoveryBeganMs + longestMs) return found;
    await machine.runUntil(nowMs + CHECK_EVERY_MS);
    sinceMs = allowedMs === 0 ? recoveryBeganMs : nowMs;
  }
}

function startFault(world: World, { name, seed }: Item): Promise<void> {
  const { undisturbed, ledger } = world.cloud;
  const kind = FAULTS[name];
  if (kind === undefined) throw new Error(`simulate: no fault is called ${JSON.stringify(name)}`);
  const end = undisturbed.disturb();
  world.truth.push({ atMs: world.machine.time.passedMs, event: 'fault_started', kind: name, seed });
  return world.outside.within(() =>
    kind
      .run(world, new Random(seed))
      .catch((error: unknown) => ledger.fail(`fault ${name}: ${String(error)}`))
      .finally(() => {
        end();
        world.truth.push({ atMs: world.machine.time.passedMs, event: 'fault_ended', kind: name, seed });
      }),
  );
}

async function ended(world: World, work: Promise<unknown>): Promise<void> {
  const { machine } = world;
  const untilMs = machine.time.nowMs + FAULT_ENDS_WITHIN_MS;
  const late = world.outside.within(
    () =>
      new Promise<void>((_, reject) =>
        setTimeout(
          () => reject(new Error(`simulate: a fault did not end by ${untilMs}`)),
          FAULT_ENDS_WITHIN_MS,
        ),
      ),
  );
  await machine.run(Promise.race([work, late]));
}
