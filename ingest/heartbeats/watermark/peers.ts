import { type DeploymentName, ingestorSubject, ingestorsSubject } from '../../../common/messages/subjects.ts';
import { type Bus, BusError } from '../../../common/nats/bus.ts';
import type { RedisConnections } from '../../../common/redis/connection/connections.ts';
import { pairsOf } from '../../../common/redis/records/pairs.ts';

interface Options {
  /** Identifies this ingestor in Redis and in its NATS subject. */
  id: string;
  deployment: DeploymentName;
  bus: Bus;
  redis: RedisConnections;
  /** The generation of the queue group that this ingestor has joined. */
  generation(): number | undefined;
  /** Longest wait for an answer of another ingestor (ms): the next watermark waits for it. */
  answerMs: number;
  /** Whether this ingestor writes to Redis. */
  canWrite(): boolean;
}

/** The other ingestors of the deployment, and what this one answers them over NATS. */
export class Peers {
  readonly #options: Options;
  /** The others and their watermarks (ms), as last read from the list. */
  #others: ReadonlyMap<string, number> = new Map();
  /** The generation in which they were read. */
  #generation: number | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Answers the others. @returns ends that */
  answer(): () => void {
    const { id, deployment, bus, canWrite } = this.#options;
    const subscriptions = [
      bus.subscribe(ingestorSubject(id), {}, (message) => message.respond()),
      bus.subscribe(ingestorsSubject(deployment), {}, (message) => {
        if (canWrite()) message.respond();
      }),
    ];
    return () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    };
  }

  /** Whether another ingestor can write to Redis, asked while this one cannot. */
  async canAnotherWrite(): Promise<boolean> {
    const { deployment, bus, answerMs } = this.#options;
    try {
      await bus.request(ingestorsSubject(deployment), '', { timeoutMs: answerMs });
      return true;
    } catch (error) {
      if (error instanceof BusError) return false;
      throw error;
    }
  }

  /**
   * Finds ingestors that no longer answer on their subject: they were killed, and are removed at once. One that answers but is
   * missing from the list is added again, because Redis lost it with its data: a stopped ingestor must not swallow its share
   * unnoticed. One that was taken over from is not added: it has its old group for itself.
   *
   * @param beforeMs of the listed ingestors, those with an older watermark are asked
   * @returns the listed ingestors that do not answer
   */
  async findKilled(beforeMs: number): Promise<string[]> {
    const { bus, redis, id, answerMs } = this.#options;
    const joined = this.#options.generation();
    if (joined !== this.#generation) this.#others = new Map();
    this.#generation = joined;
    // In this order: one that a takeover has removed from the list is then known by the generation.
    const [list, published, generation] = await Promise.all([
      redis.client.zrange(redis.keys.watermarks, '0', '-1', 'WITHSCORES'),
      redis.client.call('HGETALL', redis.keys.ingestors) as Promise<string[]>,
      redis.client.hget(redis.keys.listening, 'generation'),
    ]);
    // One that is about to join has published no watermark.
    const joining = pairsOf(published).map(([other, about]) => [other, Number.parseInt(about, 10)] as const);
    const watermarks = pairsOf(list).map(([other, atMs]) => [other, Number(atMs)] as const);
    const listed = new Map([...joining, ...watermarks]);
    const isTakenOver = generation !== null && generation !== `${joined}`;
    const others = new Map([...(isTakenOver ? [] : this.#others), ...listed]);
    others.delete(id);
    const suspects = [...others].filter(([other, atMs]) => atMs <= beforeMs || !listed.has(other));
    const killed: string[] = [];
    await Promise.all(
      suspects.map(async ([other, atMs]) => {
        if (!(await bus.answers(ingestorSubject(other), { timeoutMs: answerMs }))) killed.push(other);
        else if (!listed.has(other)) await redis.client.zadd(redis.keys.watermarks, 'NX', atMs, other);
      }),
    );
    for (const other of killed) others.delete(other);
    this.#others = others;
    return killed.filter((other) => listed.has(other));
  }
}
