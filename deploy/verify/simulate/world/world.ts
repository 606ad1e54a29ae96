import { connect, Events } from 'nats';
import { stringify } from 'yaml';
import { parseConfig } from '../../../../common/config/load.ts';
import { createKeys, type Keys } from '../../../../common/redis/keys.ts';
import type { Cloud } from '../../chaos/events.ts';
import { Random } from '../../chaos/random.ts';
import { INTERVALS, MASS_DELETE, MASS_LOSS } from '../../chaos/settings.ts';
import { type CloudStage, WatchedCloud } from '../../chaos/watched-cloud.ts';
import { Host } from '../machine/host.ts';
import { Machine, NATS_PORT, REDIS_PORT } from '../machine/machine.ts';
import { Copy, type CopyKind } from './copy.ts';

/** How large a simulated deployment is. */
export interface Size {
  deas: number;
  apps: number;
  copies: Readonly<Record<CopyKind, number>>;
}

/** Few, because every tick reads each. */
export const SLICES = 8;
const KINDS: readonly CopyKind[] = ['ingest', 'sync', 'analyzer', 'nudger'];
/** For the first start of all processes (ms). */
const READY_WITHIN_MS = 20_000;

/** Two to four copies of each process, and between 50 and 250 instances; drawn. */
export function drawSize(random: Random): Size {
  const copies = () => 2 + random.below(3);
  return {
    deas: 4 + random.below(9),
    apps: 12 + random.below(30),
    copies: { ingest: copies(), sync: 2, analyzer: copies(), nudger: copies() },
  };
}

/** What the cloud logs as true, and when (ms since the start). */
export type Truth = Record<string, unknown> & { atMs: number };

const TRUTH_KEPT = 2_000;

/** A whole simulated deployment: machine, health manager, and the cloud of chaos with its referee. */
export class World {
  readonly machine: Machine;
  readonly copies: readonly Copy[];
  readonly keys: Keys = createKeys('hm', SLICES);
  /** The host of the faults' own timers. */
  readonly outside = new Host('outside');
  readonly truth: Truth[] = [];
  readonly #cloudHost = new Host('cloud');
  readonly #abort = new AbortController();
  #cloud: WatchedCloud | undefined;

  private constructor(machine: Machine, copies: readonly Copy[]) {
    this.machine = machine;
    this.copies = copies;
  }

  /** Starts a deployment, and waits until its cloud is as the controller wants it. */
  static async start(seed: number, size: Size): Promise<World> {
    const machine = await Machine.start(seed);
    const copies: Copy[] = [];
    const world = new World(machine, copies);
    try {
      await machine.run(world.#cloudHost.within(() => world.#startCloud(seed, size)));
      const config = stringify(configOf(world.cloud.controller.port));
      const { settings } = parseConfig(config, 'health_manager.yml', {});
      for (const kind of KINDS) {
        for (let number = 1; number <= size.copies[kind]; number++) {
          const monotonicMs = () => machine.time.nowMs;
          copies.push(new Copy({ kind, name: `${kind} ${number}`, settings, monotonicMs }));
        }
      }
      for (const copy of copies) copy.start();
      await machine.runUntil(machine.time.nowMs + 1_000);
      for (const untilMs = machine.time.nowMs + READY_WITHIN_MS; !copies.every(({ isReady }) => isReady); ) {
        if (machine.time.nowMs > untilMs) throw new Error(`simulate: not ready: ${describe(copies)}`);
        await machine.runUntil(machine.time.nowMs + 200);
      }
    } catch (error) {
      world.stop();
      throw error;
    }
    return world;
  }

  get cloud(): WatchedCloud {
    if (this.#cloud === undefined) throw new Error('simulate: the cloud has not started');
    return this.#cloud;
  }

  /** What an event acts on; it draws from `random`. */
  forEvent(random: Random): Cloud {
    const { deas, controller, undisturbed } = this.cloud;
    return { deas, controller, undisturbed, random };
  }

  /** @returns the differences that are left when the time for the recovery is over */
  async waitForRecovery(faults: readonly { recoversWithinMs?: number }[]): Promise<string[]> {
    return this.machine.run(this.within(() => this.cloud.waitForRecovery(faults)));
  }

  /** Runs code of the cloud. */
  within<T>(work: () => T): T {
    return this.#cloudHost.within(work);
  }

  copy(name: string): Copy | undefined {
    return this.copies.find((copy) => copy.name === name);
  }

  stop(): void {
    this.#abort.abort();
    for (const copy of this.copies) copy.host.kill();
    this.#cloudHost.kill();
    this.outside.kill();
    this.machine.stop();
  }

  async #startCloud(seed: number, { deas, apps }: Size): Promise<void> {
    const bus = await connect({
      servers: `127.0.0.1:${NATS_PORT}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 0,
    });
    let connected = true;
    void (async () => {
      for await (const { type } of bus.status()) {
        if (type === Events.Disconnect) connected = false;
        if (type === Events.Reconnect) connected = true;
      }
    })();
    const stage: CloudStage = {
      bus,
      copies: this.copies,
      connected: () => connected && !bus.isClosed(),
      truth: { info: (line: object) => this.#note(line) },
    };
    const random = new Random(seed ^ 0x5eed);
    this.#cloud = await WatchedCloud.start({ stage, random, signal: this.#abort.signal });
    this.#cloud.populate({ deas, apps });
  }

  #note(line: object): void {
    if ((line as { event?: string }).event === 'heartbeat') return;
    this.truth.push({ atMs: this.machine.time.passedMs, ...line });
    if (this.truth.length > TRUTH_KEPT) this.truth.shift();
  }
}

function configOf(controllerPort: number): object {
  return {
    mbus: `nats://127.0.0.1:${NATS_PORT}`,
    redis: { url: `redis://127.0.0.1:${REDIS_PORT}` },
    bulk_api: { host: `http://127.0.0.1:${controllerPort}`, batch_size: 20 },
    intervals: INTERVALS,
    mass_loss: MASS_LOSS,
    mass_delete: MASS_DELETE,
    slices: SLICES,
  };
}

function describe(copies: readonly Copy[]): string {
  return copies
    .filter(({ isReady }) => !isReady)
    .map(({ name, lines }) => `${name}: ${JSON.stringify(lines.at(-1) ?? 'no log line')}`)
    .join('; ');
}
