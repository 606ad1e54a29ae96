import type { Host } from './host.ts';
import { CommandSplitter, encodeCommand, type RespCommand } from './resp.ts';
import type { VirtualTimer } from './timer-queue.ts';
import type { VirtualSocket } from './virtual-socket.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What a fault does to one call; without it, the call is executed and answered at once. */
export interface CallFault {
  /** It reaches Redis this much later (ms). */
  delayMs?: number;
  /** Its reply leaves this much later (ms). */
  replyDelayMs?: number;
  /** The connection is reset before the call is executed, or after it, in place of the reply. */
  reset?: 'before' | 'after';
}

/** Commands that are executed together: one, or a transaction. */
export interface Unit {
  /** As they are sent; a blocking one is wrapped in a transaction, in which Redis does not let it wait. */
  commands: Buffer[];
  /** The name of the first command. */
  name: string;
  /** The keys that the command waits for, and how long. */
  blocking?: { keys: Buffer[]; ms: number };
  isConsidered?: boolean;
  fault?: CallFault | undefined;
  heldUntilMs?: number;
}

const MULTI = encodeCommand(['MULTI']);
const EXEC = encodeCommand(['EXEC']);
const NIL = '*-1\r\n';
/** Commands that would change the one connection that all clients share. */
const UNSUPPORTED = new Set(['SUBSCRIBE', 'PSUBSCRIBE', 'MONITOR', 'WATCH', 'SHUTDOWN', 'HELLO', 'AUTH']);

/** A client's connection as the gateway has it. */
export class GatewayConnection {
  readonly #socket: VirtualSocket;
  readonly #time: VirtualTime;
  readonly #splitter = new CommandSplitter();
  readonly #units: Unit[] = [];
  readonly #replies: { reply: Buffer; atMs: number }[] = [];
  /** The commands of a transaction that is not complete yet. */
  #transaction: RespCommand[] | undefined;
  #blocked: { unit: Unit; timer: VirtualTimer | undefined; isWoken: boolean } | undefined;

  constructor(socket: VirtualSocket, time: VirtualTime) {
    this.#socket = socket;
    this.#time = time;
  }

  get host(): Host {
    return this.#socket.host;
  }

  get head(): Unit | undefined {
    return this.#blocked?.unit ?? this.#units[0];
  }

  /** The keys for which the client waits; undefined: it does not, or is about to be tried again. */
  get blockedOn(): readonly Buffer[] | undefined {
    return this.#blocked?.isWoken === false ? this.#blocked.unit.blocking?.keys : undefined;
  }

  isReady(nowMs: number): boolean {
    if (this.#blocked !== undefined) return this.#blocked.isWoken;
    const [head] = this.#units;
    return head !== undefined && (head.heldUntilMs ?? 0) <= nowMs;
  }

  received(data: Buffer): void {
    for (const command of this.#splitter.push(data)) {
      if (UNSUPPORTED.has(command.name)) throw new Error(`redis gateway: ${command.name} is not supported`);
      if (command.name === 'QUIT') {
        this.#socket.deliver(Buffer.from('+OK\r\n'));
        this.#socket.farEndClosed();
      } else if (command.name === 'MULTI') this.#transaction = [command];
      else if (this.#transaction !== undefined) {
        this.#transaction.push(command);
        if (command.name !== 'EXEC' && command.name !== 'DISCARD') continue;
        this.#units.push({ commands: this.#transaction.map(({ bytes }) => bytes), name: 'MULTI' });
        this.#transaction = undefined;
      } else this.#units.push(unitOf(command));
    }
  }

  /** The head is about to be executed. */
  begin(): void {
    if (this.#blocked !== undefined) this.#blocked.isWoken = false;
    else this.#units.shift();
  }

  answer(unit: Unit, replies: readonly Buffer[], delayMs: number): void {
    if (unit.blocking === undefined) {
      for (const reply of replies) this.#reply(reply, delayMs);
      return;
    }
    const reply = unwrap(replies);
    if (reply.equals(Buffer.from(NIL))) {
      this.#block(unit);
      return;
    }
    this.#unblock();
    this.#reply(reply, delayMs);
  }

  wake(): void {
    if (this.#blocked !== undefined) this.#blocked.isWoken = true;
  }

  reset(): void {
    this.close();
    this.#socket.farEndClosed('ECONNRESET');
  }

  close(): void {
    this.#unblock();
    this.#units.length = 0;
    this.#replies.length = 0;
  }

  #block(unit: Unit): void {
    if (this.#blocked !== undefined) return;
    const ms = unit.blocking?.ms ?? 0;
    const giveUp = () => {
      this.#unblock();
      this.#reply(Buffer.from(NIL), 0);
    };
    const timer = ms > 0 ? this.#time.setServerTimer(giveUp, ms) : undefined;
    this.#blocked = { unit, timer, isWoken: false };
  }

  #unblock(): void {
    this.#blocked?.timer?.close();
    this.#blocked = undefined;
  }

  /** Replies keep their order, so one that is late delays those after it. */
  #reply(reply: Buffer, delayMs: number): void {
    const atMs = this.#time.nowMs + delayMs;
    this.#replies.push({ reply, atMs });
    if (delayMs > 0) this.#time.setServerTimer(() => this.#flush(), delayMs);
    this.#flush();
  }

  #flush(): void {
    while (this.#replies[0] !== undefined && this.#replies[0].atMs <= this.#time.nowMs)
      this.#socket.deliver((this.#replies.shift() as { reply: Buffer }).reply);
  }
}

function unitOf(command: RespCommand): Unit {
  const { name, bytes } = command;
  const blocking = blockingOf(command);
  return blocking === undefined
    ? { commands: [bytes], name }
    : { commands: [MULTI, bytes, EXEC], name, blocking };
}

function blockingOf({ name, args }: RespCommand): Unit['blocking'] {
  if (name === 'BZPOPMIN') {
    const [, ...rest] = args();
    return { keys: rest.slice(0, -1).map((key) => Buffer.from(key)), ms: Number(rest.at(-1)) * 1000 };
  }
  if (name !== 'XREADGROUP' && name !== 'XREAD') return undefined;
  const all = args();
  const upper = all.map((arg) => arg.toUpperCase());
  const block = upper.indexOf('BLOCK');
  if (block === -1) return undefined;
  const streams = all.slice(upper.indexOf('STREAMS') + 1);
  const keys = streams.slice(0, streams.length / 2).map((key) => Buffer.from(key));
  return { keys, ms: Number(all[block + 1]) };
}

/** The reply of the command within the transaction. */
function unwrap([, queued, executed]: readonly Buffer[]): Buffer {
  const prefix = '*1\r\n';
  if (executed?.toString('latin1', 0, prefix.length) === prefix) return executed.subarray(prefix.length);
  return queued as Buffer; // Redis refused to queue it: the reply is that error
}
