import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Bus } from '../../../common/nats/bus.ts';

/** What was told of an instance, and when (ms on the world's clock). */
export interface Word {
  state: string;
  atMs: number;
}

/** An instance as it truly is, and what was told of it. */
export interface TrueInstance {
  readonly guid: string;
  readonly dea: Dea;
  readonly droplet: string;
  readonly index: number;
  readonly version: string;
  state: string;
  stateTimestampS: number;
  readonly bornMs: number;
  /** False: it ended, or its DEA knows it no more. */
  there: boolean;
  /** As the last heartbeat that was taken in listed it. */
  heard?: Word;
  /** As the last heartbeat that was sent listed it. */
  said?: Word;
  /** Its `droplet.exited`. */
  exit?: { reason: string; atMs: number; takenIn?: boolean; lost?: boolean };
}

/** What a DEA needs of the world. */
export interface DeaWorld {
  bus: Bus;
  nowMs(): number;
  newGuid(): string;
}

/** A DEA that a test commands: it runs what it is told and says so in heartbeats when the world lets it. */
export class Dea {
  readonly name: string;
  /** All that it ever ran. */
  readonly instances = new Map<string, TrueInstance>();
  /** When it last fell silent (ms). */
  silentMs = Number.NEGATIVE_INFINITY;
  readonly #world: DeaWorld;
  #alive = true;

  constructor(name: string, world: DeaWorld) {
    this.name = name;
    this.#world = world;
  }

  /** A silent one sends nothing and hears nothing; what it runs goes on. */
  get alive(): boolean {
    return this.#alive;
  }

  set alive(alive: boolean) {
    if (!alive) this.silentMs = this.#world.nowMs();
    this.#alive = alive;
  }

  get size(): number {
    return this.#listed().length;
  }

  /** Guids of what it runs of a droplet. */
  of(droplet: string): string[] {
    return this.#listed()
      .filter((instance) => instance.droplet === droplet && instance.state !== 'CRASHED')
      .map(({ guid }) => guid);
  }

  /** Runs an instance from now on. @returns its guid */
  run(droplet: string, index: number, version: string = `${droplet}-v1`, state = 'RUNNING'): string {
    const guid = this.#world.newGuid();
    const bornMs = this.#world.nowMs();
    const stateTimestampS = Math.floor(bornMs / 1000);
    const slot = { droplet, index, version };
    this.instances.set(guid, { guid, dea: this, ...slot, state, stateTimestampS, bornMs, there: true });
    return guid;
  }

  /** An instance gets another state, as heartbeats say it. */
  turn(guid: string, state: string): void {
    const instance = this.instances.get(guid);
    if (instance === undefined) return;
    instance.state = state;
    instance.stateTimestampS = Math.floor(this.#world.nowMs() / 1000);
  }

  /** An instance drops out of the list, and nothing is said. */
  forget(guid: string): void {
    const instance = this.instances.get(guid);
    if (instance !== undefined) instance.there = false;
  }

  /** A DEA that was restarted goes on with an instance whose end it had told. */
  resume(guid: string): void {
    const instance = this.instances.get(guid);
    if (instance !== undefined) instance.there = true;
  }

  /** The host dies with all that it runs. */
  die(): void {
    this.alive = false;
    for (const { guid } of this.#listed()) this.forget(guid);
  }

  /**
   * An instance ends, and the DEA says why. A crashed one goes on in heartbeats as CRASHED, under a new guid; an
   * evacuated one runs on as EVACUATING.
   */
  end(guid: string, reason: string, { crashTimestampS }: { crashTimestampS?: number } = {}): void {
    const instance = this.instances.get(guid);
    if (!instance?.there) return;
    if (reason === 'DEA_EVACUATION') this.turn(guid, 'EVACUATING');
    else instance.there = false;
    if (reason === 'CRASHED') this.run(instance.droplet, instance.index, instance.version, 'CRASHED');
    const said = this.sayExited(instance, reason, crashTimestampS);
    // One that is lost takes nothing back of what was told before.
    if (said || instance.exit === undefined)
      instance.exit = { reason, atMs: this.#world.nowMs(), lost: !said };
  }

  /** `droplet.exited`; of an instance that nobody runs too. @returns whether it was said at all */
  sayExited(
    { droplet, version, guid, index }: Pick<TrueInstance, 'droplet' | 'version' | 'guid' | 'index'>,
    reason: string,
    crashTimestampS = Math.floor(this.#world.nowMs() / 1000),
  ): boolean {
    const exited = {
      cc_partition: 'default',
      droplet,
      version,
      instance: guid,
      index,
      reason,
      exit_status: 1,
      exit_description: '',
      ...(reason === 'CRASHED' ? { crash_timestamp: crashTimestampS } : {}),
    };
    return this.alive && this.#publish(SUBJECTS.exited, exited);
  }

  /** `dea.shutdown` */
  sayShutdown(): void {
    this.#publish(SUBJECTS.shutdown, { id: this.name, ip: '10.0.0.1', version: '1', app_id_to_count: {} });
  }

  /** The heartbeat, if it is alive. */
  beat(): void {
    if (!this.alive) return;
    const listed = this.#listed();
    const droplets = listed.map((instance) => ({
      cc_partition: 'default',
      droplet: instance.droplet,
      version: instance.version,
      instance: instance.guid,
      index: instance.index,
      state: instance.state,
      state_timestamp: instance.stateTimestampS,
    }));
    if (!this.#publish(SUBJECTS.heartbeat, { droplets, dea: this.name })) return;
    for (const instance of listed) instance.said = { state: instance.state, atMs: this.#world.nowMs() };
  }

  /** All that was said has been taken in; or, without an ingestor, has not and never will be. */
  settled(heard: boolean): void {
    for (const [guid, instance] of this.instances) {
      if (heard && instance.said !== undefined) instance.heard = instance.said;
      delete instance.said;
      const { exit } = instance;
      if (exit !== undefined && !exit.takenIn && !exit.lost) exit[heard ? 'takenIn' : 'lost'] = true;
      if (!instance.there && instance.heard === undefined && exit === undefined) this.instances.delete(guid);
    }
  }

  #listed(): TrueInstance[] {
    return [...this.instances.values()].filter(({ there }) => there);
  }

  #publish(subject: string, message: object): boolean {
    if (!this.#world.bus.connected()) return false;
    this.#world.bus.publish(subject, JSON.stringify(message));
    return true;
  }
}
