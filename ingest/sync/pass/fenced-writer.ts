import { LOG_LENGTH } from '../../../common/model/decision-log.ts';
import type { Clock } from '../../../common/redis/clock.ts';
import type { RedisConnections } from '../../../common/redis/connections.ts';
import { SupersededError } from '../errors.ts';

/** More droplets in one call would keep Redis from its other work for too long. */
const DROPLETS_A_CALL = 256;

/** One pass, and how it writes: every write is refused once another pass has begun. */
export class FencedWriter {
  readonly redis: RedisConnections;
  readonly clock: Clock;
  /** The pass's number: of two passes the later one has the larger. */
  readonly number: string;
  readonly begunMs: number;

  private constructor(redis: RedisConnections, clock: Clock, number: string, begunMs: number) {
    this.redis = redis;
    this.clock = clock;
    this.number = number;
    this.begunMs = begunMs;
  }

  /** @param owner who begins it: for people */
  static async begin(redis: RedisConnections, clock: Clock, owner: string): Promise<FencedWriter> {
    const begunMs = clock.nowMs();
    const number = await redis.scripts.beginPass([redis.keys.syncState], [begunMs, owner]);
    return new FencedWriter(redis, clock, number, begunMs);
  }

  /**
   * Takes the right to write, everywhere.
   *
   * @returns whether a part of what former passes wrote is lost (a node of a cluster without its data)
   * @throws SupersededError
   */
  async fence(markLost: () => Promise<void>): Promise<boolean> {
    const { client, scripts, keys } = this.redis;
    const fences = [keys.syncPass, ...Array.from({ length: keys.slices }, (_, slice) => keys.passOf(slice))];
    const there = await Promise.all(fences.map((fence) => client.exists(fence)));
    const known = there.reduce((sum, exists) => sum + exists, 0);
    const lost = known > 0 && known < fences.length;
    // Before the fences are there, or a process that dies here would leave no trace of it.
    if (lost) await markLost();
    const taken = await Promise.all(fences.map((fence) => scripts.fencePass([fence], [this.number])));
    if (taken.includes(0)) throw new SupersededError();
    return lost;
  }

  /**
   * Writes fields of the sync's state, or of another hash of the fleet; an empty value removes the field.
   *
   * @throws SupersededError
   */
  async report(fields: Record<string, string | number>, hash = this.redis.keys.syncState): Promise<void> {
    const { scripts, keys } = this.redis;
    const args = Object.entries(fields).flat();
    if ((await scripts.reportPass([keys.syncState, hash], [this.number, ...args])) === 0)
      throw new SupersededError();
  }

  /**
   * Stores the desired state of droplets.
   *
   * @param words by droplet id; empty: it is listed, but cannot be read
   * @returns how many droplets changed
   * @throws SupersededError
   */
  desired(words: ReadonlyMap<string, string>): Promise<number> {
    const { scripts, keys } = this.redis;
    const nowMs = this.clock.nowMs();
    return this.#perSlice(
      words.keys(),
      (call, id) => {
        call.keys.push(keys.droplet(id), keys.indexOf(id));
        call.args.push(id, words.get(id) ?? '');
      },
      (own, call) =>
        scripts.storeDesired(
          [...own, ...call.keys],
          [nowMs, this.begunMs, this.number, `${call.args.join('\n')}\n`, LOG_LENGTH],
        ),
    );
  }

  /**
   * Marks droplets as gone from the desired state.
   *
   * @param listedMs when they were last listed
   * @returns how many droplets changed
   * @throws SupersededError
   */
  gone(ids: Iterable<string>, listedMs: number): Promise<number> {
    const { scripts, keys } = this.redis;
    const nowMs = this.clock.nowMs();
    return this.#perSlice(
      ids,
      (call, id) => {
        call.keys.push(keys.droplet(id));
        call.args.push(id);
      },
      (own, call) =>
        scripts.markGone([...own, ...call.keys], [nowMs, listedMs, this.number, LOG_LENGTH, ...call.args]),
    );
  }

  /**
   * @param add puts a droplet into a call
   * @param run makes the call; `own` are the keys of the slice
   */
  async #perSlice(
    ids: Iterable<string>,
    add: (call: Call, id: string) => void,
    run: (own: string[], call: Call) => Promise<number>,
  ): Promise<number> {
    const { keys } = this.redis;
    const open = new Map<number, Call>();
    const calls: Promise<number>[] = [];
    const make = (slice: number, call: Call) =>
      calls.push(run([keys.due(slice), keys.passOf(slice), keys.decisions(slice)], call));
    for (const id of ids) {
      const slice = keys.sliceOf(id);
      const call = open.get(slice) ?? { keys: [], args: [], droplets: 0 };
      add(call, id);
      if (++call.droplets < DROPLETS_A_CALL) open.set(slice, call);
      else {
        make(slice, call);
        open.delete(slice);
      }
    }
    for (const [slice, call] of open) make(slice, call);
    const changed = await Promise.all(calls);
    if (changed.includes(-1)) throw new SupersededError();
    return changed.reduce((sum, n) => sum + n, 0);
  }
}

/** A call of a script about droplets of one slice. */
interface Call {
  keys: string[];
  args: string[];
  droplets: number;
}
