import { webcrypto } from 'node:crypto';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { Random } from '../../chaos/random.ts';
import { VirtualNatsServer } from './nats-server.ts';
import { RedisGateway } from './redis-gateway.ts';
import { startVirtualRedis } from './redis-server.ts';
import { RedisUpstream } from './redis-upstream.ts';
import { VirtualNetwork } from './virtual-network.ts';
import { VirtualTime } from './virtual-time.ts';

const require = createRequire(import.meta.url);

/** Any port: nothing listens there outside of the simulation. */
export const REDIS_PORT = 6379;
export const NATS_PORT = 4222;

/** Calls and timers that are due within this time of each other happen together (ms). */
const SLOT_MS = 40;
/** More waves of calls than this without a moving clock are an endless loop. */
const MAX_WAVES = 20_000;

/**
 * One computer for a whole deployment: virtual time, a network without delay, a real Redis whose clock follows, and a NATS
 * server. With the same seed the same code does the same, to the last call.
 */
export class Machine {
  readonly time: VirtualTime;
  readonly network: VirtualNetwork;
  readonly redis: RedisGateway;
  readonly nats: VirtualNatsServer;
  /** How many waves of calls run in one slot; the others wait for the next one. */
  wavesPerSlot = Number.POSITIVE_INFINITY;
  readonly #undo: (() => void)[];

  private constructor(parts: {
    time: VirtualTime;
    upstream: RedisUpstream;
    random: Random;
    undo: (() => void)[];
  }) {
    const { time, upstream, random, undo } = parts;
    this.time = time;
    this.#undo = undo;
    this.network = new VirtualNetwork(time);
    this.redis = new RedisGateway({ time, random, upstream });
    this.nats = new VirtualNatsServer(random);
    this.network.serve(REDIS_PORT, this.redis.accept);
    this.network.serve(NATS_PORT, this.nats.accept);
    this.network.install();
  }

  static async start(seed: number): Promise<Machine> {
    const time = new VirtualTime();
    const redis = await startVirtualRedis(time.clockFile);
    const upstream = await RedisUpstream.connect(redis.port);
    const restoreRandom = seedRandomNumbers(new Random(seed ^ 0x9e3779b9));
    time.install();
    const undo = [() => time.restore(), restoreRandom, () => upstream.close(), () => void redis.stop()];
    return new Machine({ time, upstream, random: new Random(seed ^ 0x51ed270b), undo });
  }

  /** Runs everything until `ms` on the monotonic clock. */
  async runUntil(ms: number): Promise<void> {
    await this.settle();
    while (this.time.nowMs < ms) {
      const dueMs = this.time.nextDueMs ?? ms;
      this.time.advance(Math.min(ms, Math.max(dueMs, this.time.nowMs + SLOT_MS)));
      await this.settle();
    }
  }

  /** Runs `work`, which waits for virtual time, to its end. */
  async run<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    ended.catch(() => undefined); // the caller gets it below
    await this.settle();
    while (!done) await this.runUntil(this.time.nowMs + SLOT_MS);
    return ended;
  }

  /** Lets the processes do what they can while the clock stands still. */
  async settle(): Promise<void> {
    for (let waves = 0; ; waves++) {
      await this.time.settle();
      if (waves >= this.wavesPerSlot || (await this.redis.work()) === 0) return;
      if (waves === MAX_WAVES)
        throw new Error(
          `simulate: the processes made ${MAX_WAVES} waves of calls without a moving clock, last ${this.redis.describeLastWave()}`,
        );
    }
  }

  stop(): void {
    this.network.restore();
    for (const undo of this.#undo) undo();
  }
}

/** Ids and noise are drawn from the seed, and the process id, which is stored in Redis, is always the same. Secrets are not the subject of a simulation. */
function seedRandomNumbers(random: Random): () => void {
  const crypto = require('node:crypto') as typeof import('node:crypto');
  const { randomUUID, randomBytes, randomFillSync } = crypto;
  const webRandomUUID = webcrypto.randomUUID;
  const mathRandom = Math.random;
  const fill = <T extends ArrayBufferView>(view: T): T => {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256);
    return view;
  };
  const uuid = () => random.guid() as ReturnType<typeof randomUUID>;
  Math.random = () => random.next();
  const randomBuffer = (size: number) => fill(Buffer.alloc(size));
  Object.assign(crypto, { randomUUID: uuid, randomBytes: randomBuffer, randomFillSync: fill });
  Object.defineProperty(webcrypto, 'randomUUID', { value: uuid, configurable: true });
  Object.defineProperty(webcrypto, 'getRandomValues', { value: fill, configurable: true });
  syncBuiltinESMExports();
  const { pid } = process;
  Object.defineProperty(process, 'pid', { value: 1, configurable: true });
  return () => {
    Object.defineProperty(process, 'pid', { value: pid, configurable: true });
    Math.random = mathRandom;
    Object.assign(crypto, { randomUUID, randomBytes, randomFillSync });
    Object.defineProperty(webcrypto, 'randomUUID', { value: webRandomUUID, configurable: true });
    delete (webcrypto as { getRandomValues?: unknown }).getRandomValues;
    syncBuiltinESMExports();
  };
}
