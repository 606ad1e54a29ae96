import { crc32 } from 'node:zlib';
import type { Random } from '../../chaos/random.ts';
import type { Host } from './host.ts';
import { type CallFault, GatewayConnection, type Unit } from './redis-connection.ts';
import type { RedisUpstream } from './redis-upstream.ts';
import { encodeCommand } from './resp.ts';
import type { Accept } from './virtual-network.ts';
import type { VirtualTime } from './virtual-time.ts';

interface Options {
  time: VirtualTime;
  random: Random;
  upstream: RedisUpstream;
}

/**
 * Stands between the processes and the real Redis. It decides in which order the calls of all processes are executed, so
 * that a seed has one order, and another seed another one.
 */
export class RedisGateway {
  /** The chance that a call waits while others overtake it. */
  overtaking = 0;
  /** Decides what happens to each call, when it is first considered. */
  faultOf: (host: Host, unit: Unit) => CallFault | undefined = () => undefined;
  /** How many commands were executed. */
  executed = 0;
  /** Of all calls in the order of their execution: equal digests prove that two runs did the same. */
  digest = 0;
  readonly #options: Options;
  #lastWave: readonly { host: Host; unit: Unit; replies: readonly Buffer[] }[] = [];
  readonly #connections = new Set<GatewayConnection>();
  readonly #ordered: { args: string[]; resolve(): void }[] = [];
  #isUp = true;

  constructor(options: Options) {
    this.#options = options;
  }

  readonly accept: Accept = (socket) => {
    const connection = new GatewayConnection(socket, this.#options.time);
    if (this.#isUp) this.#connections.add(connection);
    else socket.farEndClosed('ECONNREFUSED');
    return {
      received: (data) => connection.received(data),
      closed: () => {
        connection.close();
        this.#connections.delete(connection);
      },
    };
  };

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Down: connections are refused, and the open ones are reset. */
  set isUp(isUp: boolean) {
    this.#isUp = isUp;
    if (isUp) return;
    for (const connection of this.#connections) connection.reset();
    this.#connections.clear();
  }

  /** The calls that were executed last, and what Redis replied to each, shortened. */
  describeLastWave(): string {
    const short = (bytes: Buffer | undefined) => JSON.stringify(String(bytes?.subarray(0, 160)));
    return this.#lastWave
      .map(
        ({ host, unit, replies }) => `${host.name}: ${short(unit.commands.at(-1))}: ${short(replies.at(-1))}`,
      )
      .join('; ');
  }

  /** Runs a command of the simulation itself, as another client would. */
  async execute(...args: string[]): Promise<string> {
    this.#options.time.syncRedisClock();
    const reply = await this.#options.upstream.execute(...args);
    this.#wake([encodeCommand(args)]);
    return reply;
  }

  /** Runs a command of a fault: between two waves of calls, as one of another client, and refused like one. */
  later(...args: string[]): Promise<void> {
    return new Promise((resolve) => this.#ordered.push({ args, resolve }));
  }

  /**
   * Executes calls that wait, in a drawn order, and delivers their replies.
   *
   * @returns how many
   */
  async work(): Promise<number> {
    for (const { args, resolve } of this.#ordered.splice(0)) {
      await this.execute(...args).catch((error: Error) => {
        if (!/READONLY|NOREPLICAS|OOM|WRONGTYPE/.test(error.message)) throw error;
      });
      resolve();
    }
    const units = this.#draw();
    if (units.length === 0) return 0;
    this.#options.time.syncRedisClock();
    const replies = await this.#options.upstream.send(units.flatMap(({ unit }) => unit.commands));
    let at = 0;
    const wave: { host: Host; unit: Unit; replies: readonly Buffer[] }[] = [];
    this.#lastWave = wave;
    for (const { connection, unit, fault } of units) {
      const own = replies.slice(at, at + unit.commands.length);
      wave.push({ host: connection.host, unit, replies: own });
      at += own.length;
      this.executed += unit.commands.length;
      this.digest = crc32(unit.commands.at(-1) as Buffer, crc32(connection.host.name, this.digest));
      if (fault?.reset === 'after') this.#reset(connection);
      else connection.answer(unit, own, fault?.replyDelayMs ?? 0);
    }
    this.#wake(units.filter(({ unit }) => !unit.blocking).flatMap(({ unit }) => unit.commands));
    return units.length;
  }

  #draw(): { connection: GatewayConnection; unit: Unit; fault: CallFault | undefined }[] {
    const { random, time } = this.#options;
    const ready = [...this.#connections].filter((connection) => connection.isReady(time.nowMs));
    const drawn: { connection: GatewayConnection; unit: Unit; fault: CallFault | undefined }[] = [];
    const isAdversarial = this.overtaking > 0;
    const order = isAdversarial ? random.sample(ready, ready.length) : ready;
    for (const connection of order) {
      if (isAdversarial && drawn.length > 0 && random.chance(this.overtaking)) continue;
      for (let n = 0; connection.isReady(time.nowMs); n++) {
        if (n > 0 && isAdversarial && random.chance(this.overtaking)) break;
        const unit = connection.head as Unit;
        const fault = unit.isConsidered ? unit.fault : this.faultOf(connection.host, unit);
        if (!unit.isConsidered) Object.assign(unit, { isConsidered: true, fault });
        if (fault?.delayMs !== undefined && unit.heldUntilMs === undefined) {
          unit.heldUntilMs = time.nowMs + fault.delayMs;
          time.setServerTimer(() => time.noteActivity(), fault.delayMs);
          break;
        }
        if (fault?.reset === 'before') {
          this.#reset(connection);
          break;
        }
        connection.begin();
        drawn.push({ connection, unit, fault });
        if (unit.blocking !== undefined) break;
      }
    }
    return drawn;
  }

  #reset(connection: GatewayConnection): void {
    connection.reset();
    this.#connections.delete(connection);
  }

  /** Blocked calls whose keys occur in an executed command are tried again. */
  #wake(commands: readonly Buffer[]): void {
    for (const connection of this.#connections) {
      const { blockedOn } = connection;
      if (blockedOn === undefined) continue;
      if (commands.some((bytes) => blockedOn.some((key) => bytes.includes(key)))) connection.wake();
    }
  }
}
