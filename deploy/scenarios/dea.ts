import type { Bus } from '../../common/bus.ts';
import { SUBJECTS } from '../../common/subjects.ts';

interface Running {
  droplet: string;
  index: number;
  version: string;
  state: string;
  state_timestamp: number;
}

type Now = () => { nowS: number; guid: string };

/** A DEA that a test commands: it runs what it is told and says so in heartbeats when the world lets it. */
export class Dea {
  readonly name: string;
  /** A silent one sends nothing; what it runs goes on. */
  alive = true;
  readonly #bus: Bus;
  readonly #now: Now;
  readonly #instances = new Map<string, Running>();

  constructor(name: string, bus: Bus, now: Now) {
    this.name = name;
    this.#bus = bus;
    this.#now = now;
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Guids of what it runs of a droplet. */
  of(droplet: string): string[] {
    return [...this.#instances].filter(([, instance]) => instance.droplet === droplet).map(([guid]) => guid);
  }

  /** Runs an instance from now on. @returns its guid */
  run(droplet: string, index: number, version = `${droplet}-v1`, state = 'RUNNING'): string {
    const { nowS, guid } = this.#now();
    this.#instances.set(guid, { droplet, index, version, state, state_timestamp: Math.floor(nowS) });
    return guid;
  }

  /** An instance gets another state, as heartbeats say it. */
  turn(guid: string, state: string): void {
    const instance = this.#instances.get(guid);
    if (instance !== undefined) instance.state = state;
  }

  /** An instance drops out of the list, and nothing is said. */
  forget(guid: string): void {
    this.#instances.delete(guid);
  }

  /** An instance ends, and the DEA says why. */
  end(guid: string, reason: string): void {
    const instance = this.#instances.get(guid);
    if (instance === undefined) return;
    const { droplet, version, index } = instance;
    const crashed = reason === 'CRASHED' ? { crash_timestamp: Math.floor(this.#now().nowS) } : {};
    if (reason !== 'DEA_EVACUATION') this.#instances.delete(guid);
    const exited = {
      cc_partition: 'default',
      droplet,
      version,
      instance: guid,
      index,
      reason,
      exit_status: 1,
      exit_description: '',
      ...crashed,
    };
    this.#bus.publish(SUBJECTS.exited, JSON.stringify(exited));
  }

  /** The heartbeat, if it is alive. */
  beat(): void {
    if (!this.alive) return;
    const droplets = [...this.#instances].map(
      ([instance, { droplet, version, index, state, state_timestamp }]) => ({
        cc_partition: 'default',
        droplet,
        version,
        instance,
        index,
        state,
        state_timestamp,
      }),
    );
    this.#bus.publish(SUBJECTS.heartbeat, JSON.stringify({ droplets, dea: this.name }));
  }
}
