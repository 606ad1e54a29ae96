import { setTimeout as delay } from 'node:timers/promises';
import { createInbox } from 'nats';
import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Copy, Order } from './copies.ts';
import type { TrueInstance } from './hosts.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';
import { ReceivedCounts } from './received.ts';
import { INSTANCES_AT_MOST, INTERVALS } from './settings.ts';
import { type Copies, type Stage, setStage } from './stage.ts';
import { Waits } from './wait-stats.ts';
import { WatchedCloud } from './watched-cloud.ts';

/** One of each goes on while the other is replaced. */
const COPIES: Copies = [
  ['ingest', 2],
  ['sync', 2],
  ['analyzer', 2],
  ['nudger', 2],
  ['reporter', 2],
];
const ORDERS: readonly Order[] = ['new first', 'old first'];
/** Between two replacements, and before the first and after the last. */
const PAUSE_MS = 1_500;

const CRASH_EVERY_MS = 50;
const ASK_EVERY_MS = 50;
const CHANGE_EVERY_MS = 250;
/** Every exit has its start and every question its answer within this. */
const ANSWERED_WITHIN_MS = 1_000;
/** A slot crashes again when the last crash counts no more: its start comes at once then. */
const CRASH_AGAIN_MS = (INTERVALS.flapping_timeout + 2) * 1000;
/** After the first start holds are on, until everything has been heard for `droplet_lost`. */
const SETTLED_MS = INTERVALS.droplet_lost * 1000 + 4_000;
/** So long after its start the new instance has been heard to run. */
const RUNS_AGAIN_MS = 4_000;
/** An orderly stop. */
const STOPPED_WITHIN_MS = 10_000;

interface Options {
  seed: number;
  signal: AbortSignal;
  progress(text: string): void;
}

/**
 * Replaces every process by a successor, one after the other and in both orders, while instances crash, apps change and
 * questions are asked. Nothing is broken, so everything is judged without any excuse: each decision by the referee, and
 * beside that each exit must have its start and each question its right answer within a second, and of what the cloud
 * says nothing may be missing in what the health manager has counted.
 */
export async function runRolling(
  options: Options,
): Promise<{ ledger: Ledger; dir: string; figures: string[] }> {
  const stage = await setStage(COPIES);
  const random = new Random(options.seed);
  const cloud = await WatchedCloud.start({ stage, random, signal: options.signal });
  const figures: string[] = [];
  try {
    // Before anything is said, so that all of it is counted.
    await stage.startHealthManager(cloud.controller.port);
    const load = new Load(stage, cloud, cloud.populate());
    await delay(SETTLED_MS);
    load.start();
    await replaceAll(options, stage, cloud);
    await load.stop();
    cloud.ledger.notHealed(await cloud.untilWhole());
    cloud.hosts.stop();
    for (const line of await new ReceivedCounts(stage, cloud, load.asked).differences())
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
      progress(`${copy.name} replaced, ${order}: the old one stopped within ${(stopMs / 1000).toFixed(1)} s`);
      ledger.event('process replaced');
      if (exitCode !== 0 || stopMs > STOPPED_WITHIN_MS)
        ledger.fail(`${copy.name}: exit code ${exitCode} after ${Math.round(stopMs)} ms`);
      await delay(PAUSE_MS);
    }
  }
  for (const error of stage.copies.flatMap(({ errors }: Copy) => errors)) ledger.fail(`logged: ${error}`);
}

/** What happens in the cloud meanwhile, and whether the health manager answers it. */
class Load {
  /** Questions. */
  asked = 0;
  readonly #stage: Stage;
  readonly #cloud: WatchedCloud;
  /** Apps whose instances crash and that are asked about; the others are changed. */
  readonly #steady: string[];
  readonly #changing: string[];
  /** Slots of steady apps, `<app> <index>`: who crashed longest ago comes first. */
  readonly #slots: { droplet: string; index: number; crashedMs: number }[] = [];
  /** When the last instance of an app that crashed was started again; infinite until then. */
  readonly #startedMs = new Map<string, number>();
  readonly #starts: Waits;
  readonly #answers: Waits;
  readonly #inbox = createInbox();
  #timers: NodeJS.Timeout[] = [];

  constructor(stage: Stage, cloud: WatchedCloud, apps: string[]) {
    this.#stage = stage;
    this.#cloud = cloud;
    this.#steady = apps.slice(0, apps.length / 2);
    this.#changing = apps.slice(apps.length / 2);
    this.#starts = new Waits('exit to start', () => cloud.nowMs());
    this.#answers = new Waits('question to answer', () => cloud.nowMs());
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
      callback: (_error, message) => this.#answered(message.subject, message.json()),
    });
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#crash(), CRASH_EVERY_MS),
      setInterval(() => this.#ask(), ASK_EVERY_MS),
      setInterval(() => this.#change(), CHANGE_EVERY_MS),
    ];
  }

  /** Resolves when all is answered, or will not be. */
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
    const instance = this.#cloud.hosts.of(droplet).find(runs);
    if (instance === undefined) return; // it did not come back: the end of the run tells
    this.#startedMs.set(droplet, Number.POSITIVE_INFINITY);
    this.#starts.begin(`${droplet} ${index}`);
    this.#cloud.hosts.end(instance, 'CRASHED');
    this.#cloud.ledger.event('instance crashed');
  }

  #ask(): void {
    const droplet = this.#cloud.random.pick(this.#steady);
    const { version } = this.#cloud.controller.app(droplet) as { version: string };
    const question = String(++this.asked);
    this.#answers.begin(question);
    const text = JSON.stringify({ droplets: [{ droplet, version }] });
    this.#stage.bus.publish(SUBJECTS.healthRequest, text, { reply: `${this.#inbox}.${question}` });
  }

  #answered(subject: string, { droplet, healthy }: { droplet: string; healthy: number }): void {
    this.#answers.end(subject.slice(this.#inbox.length + 1));
    const startedMs = this.#startedMs.get(droplet) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - startedMs < RUNS_AGAIN_MS) return;
    const { instances } = this.#cloud.controller.app(droplet) as { instances: number };
    if (healthy !== instances)
      this.#cloud.ledger.fail(`answered ${healthy} of ${instances} healthy instances of ${droplet}`);
  }

  #change(): void {
    const { controller, random, ledger, hosts } = this.#cloud;
    const droplet = random.pick(this.#changing);
    const what = random.below(4);
    if (what === 0) controller.put(droplet, { instances: 1 + random.below(INSTANCES_AT_MOST) });
    else if (what === 1) controller.put(droplet, { version: random.guid() });
    else if (what === 2) {
      const { state } = controller.app(droplet) as { state: string };
      controller.put(droplet, { state: state === 'STARTED' ? 'STOPPED' : 'STARTED' });
    } else {
      const [instance] = hosts.of(droplet);
      if (instance !== undefined) hosts.end(instance, 'CRASHED', { silently: true });
    }
    ledger.event(what === 3 ? 'instance gone without a word' : 'app changed');
  }
}
