import { SUBJECTS } from '../../../common/messages/subjects.ts';
import type { ExitReason } from '../../../common/model/reasons.ts';
import { exitedText, heartbeatText, type Reported, shutdownText } from '../../demo/agent/dea-messages.ts';

/** An instance as its DEA runs it; each harness adds what its referee has to know. */
export type SimulatedInstance = Reported;

/** The slot of an instance that is about to run. */
export type SimulatedSlot = Pick<SimulatedInstance, 'droplet' | 'version' | 'index'>;

export interface DeaOptions {
  id: string;
  /** @returns whether the message left */
  publish(subject: string, payload: string): boolean;
  newGuid(): string;
  /** The DEA's clock, in epoch seconds. */
  nowS(): number;
}

/** The partition of every simulated cloud. */
export const PARTITION = 'default';

/**
 * The simulated DEA that scenarios, failover and chaos share: instances, heartbeats, exits and `dea.shutdown`. It follows
 * the contract of DEAs and decides nothing. A harness extends it with the facts that its referee needs.
 */
export abstract class SimulatedDea<I extends SimulatedInstance> {
  readonly id: string;
  /** The instances that the next heartbeat lists, by guid. */
  readonly listed = new Map<string, I>();
  readonly #options: DeaOptions;
  #connected = true;
  /** The encoded heartbeat; undefined after a change. */
  #heartbeat: string | undefined;

  constructor(options: DeaOptions) {
    this.id = options.id;
    this.#options = options;
  }

  protected abstract newInstance(instance: SimulatedInstance): I;

  /** While false, no message leaves; the instances go on. */
  get connected(): boolean {
    return this.#connected;
  }

  set connected(connected: boolean) {
    this.#connected = connected;
  }

  /** Runs a new instance from now on. */
  launch(slot: SimulatedSlot, state = 'RUNNING'): I {
    const { droplet, version, index } = slot;
    const guid = this.#options.newGuid();
    const instance = this.newInstance({ guid, droplet, version, index, state, sinceS: this.#options.nowS() });
    this.relist(instance);
    return instance;
  }

  setState(instance: I, state: string): void {
    instance.state = state;
    instance.sinceS = this.#options.nowS();
    this.#heartbeat = undefined;
  }

  /** The instance drops out of the list; no message is sent. */
  unlist(instance: I): void {
    this.listed.delete(instance.guid);
    this.#heartbeat = undefined;
  }

  relist(instance: I): void {
    this.listed.set(instance.guid, instance);
    this.#heartbeat = undefined;
  }

  /** @returns whether it left */
  sendHeartbeat(): boolean {
    this.#heartbeat ??= heartbeatText(this.id, PARTITION, this.listed.values());
    return this.#send(SUBJECTS.heartbeat, this.#heartbeat);
  }

  /**
   * Sends `droplet.exited`, also for an instance that this DEA never ran.
   *
   * @returns whether it left
   */
  sendExited(
    instance: SimulatedSlot & { guid: string },
    reason: ExitReason,
    crashTimestampS = Math.floor(this.#options.nowS()),
  ): boolean {
    const ended = { code: reason === 'CRASHED' ? 1 : 0, signal: null };
    return this.#send(SUBJECTS.exited, exitedText(PARTITION, instance, reason, ended, crashTimestampS));
  }

  /**
   * @param droplets of the instances that ran, one entry for each instance
   * @returns whether `dea.shutdown` left
   */
  sendShutdown(
    droplets: Iterable<string> = Array.from(this.listed.values(), ({ droplet }) => droplet),
  ): boolean {
    return this.#send(SUBJECTS.shutdown, shutdownText(this.id, droplets));
  }

  #send(subject: string, payload: string): boolean {
    return this.connected && this.#options.publish(subject, payload);
  }
}
