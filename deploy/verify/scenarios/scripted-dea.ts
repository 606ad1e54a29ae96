import type { ExitReason } from '../../../common/model/reasons.ts';
import { type DeaOptions, SimulatedDea, type SimulatedInstance } from '../sim/dea.ts';

/** The state of an instance in one heartbeat, and when it was sent (ms on the deployment's clock). */
export interface Report {
  state: string;
  atMs: number;
}

/** An instance as it truly is, and what was reported of it. */
export interface TrueInstance extends SimulatedInstance {
  readonly dea: ScriptedDea;
  readonly startedMs: number;
  /** False once it ended, or once its DEA dropped it from the list. */
  isListed: boolean;
  /** The last heartbeat that listed it and was processed by an ingestor. */
  processed?: Report;
  /** The last heartbeat that listed it and was sent. */
  sent?: Report;
  /** Its `droplet.exited`. */
  exit?: { reason: ExitReason; atMs: number; processed?: boolean; lost?: boolean };
}

interface Options extends Omit<DeaOptions, 'nowS'> {
  nowMs(): number;
}

/** A DEA whose instances the test controls. The deployment decides when it sends heartbeats. */
export class ScriptedDea extends SimulatedDea<TrueInstance> {
  /** Every instance that it ever ran, by guid. */
  readonly instances = new Map<string, TrueInstance>();
  /** When it was last disconnected (ms). */
  disconnectedMs = Number.NEGATIVE_INFINITY;
  readonly #nowMs: () => number;

  constructor({ nowMs, ...options }: Options) {
    super({ ...options, nowS: () => Math.floor(nowMs() / 1000) });
    this.#nowMs = nowMs;
  }

  protected override newInstance(instance: SimulatedInstance): TrueInstance {
    return { ...instance, dea: this, startedMs: this.#nowMs(), isListed: true };
  }

  override get connected(): boolean {
    return super.connected;
  }

  override set connected(connected: boolean) {
    if (!connected) this.disconnectedMs = this.#nowMs();
    super.connected = connected;
  }

  /** The guids of the instances of a droplet that it runs. */
  guidsOf(droplet: string): string[] {
    return [...this.listed.values()]
      .filter((instance) => instance.droplet === droplet && instance.state !== 'CRASHED')
      .map(({ guid }) => guid);
  }

  /**
   * Runs an instance from now on.
   *
   * @returns its guid
   */
  run(droplet: string, index: number, version = `${droplet}-v1`, state = 'RUNNING'): string {
    const instance = this.launch({ droplet, version, index }, state);
    this.instances.set(instance.guid, instance);
    return instance.guid;
  }

  /** Heartbeats report another state from now on. */
  changeState(guid: string, state: string): void {
    const instance = this.instances.get(guid);
    if (instance !== undefined) this.setState(instance, state);
  }

  /** Heartbeats do not list the instance any more; no exit is sent. */
  forget(guid: string): void {
    const instance = this.instances.get(guid);
    if (instance === undefined) return;
    instance.isListed = false;
    this.unlist(instance);
  }

  /** Heartbeats list an instance again, as after a restart of the DEA; its exit may have been sent before. */
  resume(guid: string): void {
    const instance = this.instances.get(guid);
    if (instance === undefined) return;
    instance.isListed = true;
    this.relist(instance);
  }

  /** The host dies with all its instances. */
  die(): void {
    this.connected = false;
    for (const guid of [...this.listed.keys()]) this.forget(guid);
  }

  /**
   * An instance ends, and the DEA sends its exit. A crashed instance stays in heartbeats as CRASHED under a new guid; an
   * evacuated one goes on as EVACUATING.
   */
  end(guid: string, reason: ExitReason, { crashTimestampS }: { crashTimestampS?: number } = {}): void {
    const instance = this.instances.get(guid);
    if (!instance?.isListed) return;
    if (reason === 'DEA_EVACUATION') this.setState(instance, 'EVACUATING');
    else this.forget(guid);
    if (reason === 'CRASHED') this.run(instance.droplet, instance.index, instance.version, 'CRASHED');
    const left = this.sendExited(instance, reason, crashTimestampS);
    // An exit that is lost does not replace one that was sent before.
    if (left || instance.exit === undefined) instance.exit = { reason, atMs: this.#nowMs(), lost: !left };
  }

  override sendHeartbeat(): boolean {
    const left = super.sendHeartbeat();
    if (left) {
      for (const instance of this.listed.values())
        instance.sent = { state: instance.state, atMs: this.#nowMs() };
    }
    return left;
  }

  /** Everything that was sent is processed now; without an ingestor it is lost. */
  markProcessed(byIngestor: boolean): void {
    for (const [guid, instance] of this.instances) {
      if (byIngestor && instance.sent !== undefined) instance.processed = instance.sent;
      delete instance.sent;
      const { exit } = instance;
      if (exit !== undefined && !exit.processed && !exit.lost) exit[byIngestor ? 'processed' : 'lost'] = true;
      if (!instance.isListed && instance.processed === undefined && exit === undefined)
        this.instances.delete(guid);
    }
  }
}
