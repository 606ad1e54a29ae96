import { setTimeout as delay } from 'node:timers/promises';
import { createInbox } from 'nats';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Order, ProcessCopy } from './copies.ts';
import type { TrueInstance } from './deas.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { ReceivedCounts } from './received.ts';
import { INTERVALS, MAX_INSTANCES } from './settings.ts';
import { type Copies, type Stage, startStage } from './stage.ts';
import { WaitStats } from './wait-stats.ts';
import { WatchedCloud } from './watched-cloud.ts';

/** Two of each, so that one goes on while the other is replaced. */
const COPIES: Copies = [
  ['ingest', 2],
  ['sync', 2],
  ['analyzer', 2],
  ['nudger', 2],
  ['reporter', 2],
];
const ORDERS: readonly Order[] = ['new first', 'old first'];
/** Before the first replacement, between two, and after the last. */
const PAUSE_MS = 1_500;

const CRASH_EVERY_MS = 50;
const QUERY_EVERY_MS = 50;
const CHANGE_EVERY_MS = 250;
/** Every exit must cause its start, and every query its answer, within this time. */
const ANSWERED_WITHIN_MS = 1_000;
/** A slot crashes again when its last crash no longer counts, so that its start comes at once. */
const CRASH_AGAIN_MS = (INTERVALS.flapping_timeout + 2) * 1000;
/** After the first start, holds are on until heartbeats have arrived for `droplet_lost`. */
const SETTLED_MS = INTERVALS.droplet_lost * 1000 + 4_000;
/** Within this time after its start, a heartbeat lists the new instance as RUNNING. */
const REPORTED_RUNNING_MS = 4_000;
/** The limit for an orderly stop. */
const STOPPED_WITHIN_MS = 10_000;

interface Options {
  seed: number;
  signal: AbortSignal;
  progress(text: string): void;
}

/**
 * Replaces every process by a successor, one after the other and in both orders, while instances crash, apps change and
 * queries are sent. Since there are no faults, nothing is excused. The referee judges each decision. Each exit must cause its
 * start, and each query must get the right answer, within a second. The health manager's counters must match every message
 * that the cloud sent.
 */
export async function runRolling(
  options: Options,
): Promise<{ ledger: Ledger; dir: string; figures: string[] }> {
  const stage = await startStage(COPIES, 'stdout');
  const random = new Random(options.seed);
  const cloud = await WatchedCloud.start({ stage, random, signal: options.signal });
  const figures: string[] = [];
  try {
    // Before the cloud sends its first message, so that every message is counted.
    await stage.startHealthManager(cloud.controller.port);
    const load = new Load(stage, cloud, cloud.populate());
    await delay(SETTLED_MS);
    load.start();
    await replaceAll(options, stage, cloud);
    await load.stop();
    cloud.ledger.notRecovered(await cloud.waitForRecovery());
    cloud.deas.stop();
    for (const line of await new ReceivedCounts(stage, cloud, load.queries).differences())
      cloud.ledger.fail(line);
    figures.push(...load.figures());
  } finally {
    cloud.stop();
    await stage.close();
    await cloud.controller.close();
  }
  return { ledger: cloud.ledger, dir: stage.dir, figures };
}

async function replaceAll(
  { signal, progress }: Options,
  stage: Stage,
  { ledger }: WatchedCloud,
): Promise<void> {
  await delay(PAUSE_MS);
  for (const order of ORDERS) {
    for (const copy of stage.copies) {
      if (signal.aborted) return;
      const { exitCode, stopMs } = await copy.replace(order);
      progress(
        `${copy.name} replaced, ${order}: the old process stopped within ${(stopMs / 1000).toFixed(1)} s`,
      );
      ledger.event('process replaced');
      if (exitCode !== 0 || stopMs > STOPPED_WITHIN_MS)
        ledger.fail(`${copy.name}: exit code ${exitCode} after ${Math.round(stopMs)} ms`);
      await delay(PAUSE_MS);
    }
  }
  for (const error of stage.copies.flatMap(({ errors }: ProcessCopy) => errors))
    ledger.fail(`logged: ${error}`);
}

/** Crashes, changes and queries during the replacements, and how fast the health manager answers them. */
class Load {
  /** How many queries were sent. */
  queries = 0;
  readonly #stage: Stage;
  readonly #cloud: WatchedCloud;
  /** The instances of these apps crash, and their health is queried; the other apps are changed. */
  readonly #steady: string[];
  readonly #changing: string[];
  /** The slots of steady apps; the one whose last crash is oldest comes first. */
  readonly #slots: { droplet: string; index: number; crashedMs: number }[] = [];
  /** When the last crashed instance of an app was started again; infinite until then. */
  readonly #startedMs = new Map<string, number>();
  readonly #starts: WaitStats;
  readonly #answers: WaitStats;
  readonly #inbox = createInbox();
  #timers: NodeJS.Timeout[] = [];

  constructor(stage: Stage, cloud: WatchedCloud, apps: string[]) {
    this.#stage = stage;
    this.#cloud = cloud;
    this.#steady = apps.slice(0, apps.length / 2);
    this.#changing = apps.slice(apps.length / 2);
    this.#starts = new WaitStats('exit to start', () => cloud.nowMs());
    this.#answers = new WaitStats('query to answer', () => cloud.nowMs());
    for (const droplet of this.#steady) {
      const { instances } = cloud.controller.app(droplet) as { instances: number };
      for (let index = 0; index < instances; index++)
        this.#slots.push({ droplet, index, crashedMs: Number.NEGATIVE_INFINITY });
    }
    cloud.onStart(({ droplet, indices }) => {
      this.#starts.end(`${droplet} ${indices[0]}`);
      this.#startedMs.set(droplet, performance.now());
    });
    stage.bus.subscribe(`${this.#inbox}.*`, {
      callback: (_error, message) => this.#receiveAnswer(message.subject, message.json()),
    });
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#crash(), CRASH_EVERY_MS),
      setInterval(() => this.#query(), QUERY_EVERY_MS),
      setInterval(() => this.#change(), CHANGE_EVERY_MS),
    ];
  }

  /** Stops the load. Resolves when every answer has come or is too late. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await delay(5 * ANSWERED_WITHIN_MS);
    const { ledger } = this.#cloud;
    for (const waits of [this.#starts, this.#answers]) {
      for (const problem of waits.problems(ANSWERED_WITHIN_MS)) ledger.fail(problem);
    }
  }

  figures(): string[] {
    return [this.#starts.summary(), this.#answers.summary()];
  }

  #crash(): void {
    const nowMs = performance.now();
    const slot = this.#slots.find(({ crashedMs }) => nowMs - crashedMs > CRASH_AGAIN_MS);
    if (slot === undefined) return;
    this.#slots.splice(this.#slots.indexOf(slot), 1);
    this.#slots.push({ ...slot, crashedMs: nowMs });
    const { droplet, index } = slot;
    const runs = (instance: TrueInstance) => instance.index === index && instance.lastRunningMs !== undefined;
    const instance = this.#cloud.deas.instancesOf(droplet).find(runs);
    if (instance === undefined) return; // it was not started again, which the end of the run reports
    this.#startedMs.set(droplet, Number.POSITIVE_INFINITY);
    this.#starts.begin(`${droplet} ${index}`);
    this.#cloud.deas.end(instance, 'CRASHED');
    this.#cloud.ledger.event('instance crashed');
  }

  #query(): void {
    const droplet = this.#cloud.random.pick(this.#steady);
    const { version } = this.#cloud.controller.app(droplet) as { version: string };
    const query = String(++this.queries);
    this.#answers.begin(query);
    const text = JSON.stringify({ droplets: [{ droplet, version }] });
    this.#stage.bus.publish(SUBJECTS.healthRequest, text, { reply: `${this.#inbox}.${query}` });
  }

  #receiveAnswer(subject: string, { droplet, healthy }: { droplet: string; healthy: number }): void {
    this.#answers.end(subject.slice(this.#inbox.length + 1));
    const startedMs = this.#startedMs.get(droplet) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - startedMs < REPORTED_RUNNING_MS) return;
    const { instances } = this.#cloud.controller.app(droplet) as { instances: number };
    if (healthy !== instances)
      this.#cloud.ledger.fail(`answered ${healthy} of ${instances} healthy instances of ${droplet}`);
  }

  #change(): void {
    const { controller, random, ledger, deas } = this.#cloud;
    const droplet = random.pick(this.#changing);
    const what = random.below(4);
    if (what === 0) controller.put(droplet, { instances: 1 + random.below(MAX_INSTANCES) });
    else if (what === 1) controller.put(droplet, { version: random.guid() });
    else if (what === 2) {
      const { state } = controller.app(droplet) as { state: string };
      controller.put(droplet, { state: state === 'STARTED' ? 'STOPPED' : 'STARTED' });
    } else {
      const [instance] = deas.instancesOf(droplet);
      if (instance !== undefined) deas.end(instance, 'CRASHED', { silently: true });
    }
    ledger.event(what === 3 ? 'instance ended silently' : 'app changed');
  }
}
