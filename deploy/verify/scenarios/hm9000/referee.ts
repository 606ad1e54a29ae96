import type { BulkApp } from '../../sim/controller.ts';
import type { TrueInstance } from '../scripted-dea.ts';
import type { SentMessage } from '../sent.ts';

export interface Hm9000Truth {
  app(droplet: string): BulkApp | undefined;
  /** Every instance that ever ran. */
  instances(): Iterable<TrueInstance>;
}

const KEYS = {
  start: 'message_id,droplet,version,instance_index',
  stop: 'message_id,droplet,version,instance_guid,instance_index,is_duplicate',
} as const;

/**
 * The checks of a controller of hm9000's time (contract: hm9000's dialects): what it refuses is a violation, because it was asked for on a
 * state that it knows better. It also checks against the truth that no healthy instance is stopped and no running slot is started.
 */
export class Hm9000Referee {
  readonly violations: string[] = [];
  readonly #truth: Hm9000Truth;
  readonly #ids = new Set<string>();

  constructor(truth: Hm9000Truth) {
    this.#truth = truth;
  }

  /** @returns why the controller refuses the request; undefined if it accepts it */
  check(sent: SentMessage): string | undefined {
    const refusal = sent.kind === 'start' ? this.#refusesStart(sent) : this.#refusesStop(sent);
    const problems = [...this.#formProblems(sent), ...this.#truthProblems(sent)];
    if (refusal !== undefined) problems.push(`the controller refuses it: ${refusal}`);
    for (const problem of problems) this.violations.push(`${problem}: ${sent.text}`);
    return refusal;
  }

  *#formProblems({ kind, id, decision, message }: SentMessage): Iterable<string> {
    if (Object.keys(message).join() !== KEYS[kind]) yield 'keys differ from the contract';
    if (id !== decision || message.message_id !== id) yield 'message_id and headers do not name the decision';
    if (this.#ids.has(id)) yield 'sent twice';
    this.#ids.add(id);
  }

  #refusesStart({ droplet, index, message }: SentMessage): string | undefined {
    const app = this.#truth.app(droplet);
    if (app === undefined) return 'no such app';
    if (app.state !== 'STARTED') return 'not started';
    if (app.package_state !== 'STAGED') return 'not staged';
    if (app.version !== message.version) return 'not the current version';
    return (index as number) < (app.instances as number) ? undefined : 'index out of range';
  }

  #refusesStop({ droplet, index, message }: SentMessage): string | undefined {
    const isWanted = this.#isWanted({ droplet, index, message });
    return isWanted && message.is_duplicate !== true ? 'the index is wanted' : undefined;
  }

  #isWanted({ droplet, index, message }: Pick<SentMessage, 'droplet' | 'index' | 'message'>): boolean {
    const app = this.#truth.app(droplet);
    return (
      app?.state === 'STARTED' &&
      app.version === message.version &&
      (index as number) < (app.instances as number)
    );
  }

  *#truthProblems({ kind, droplet, index, instance, message }: SentMessage): Iterable<string> {
    const ofSlot = [...this.#truth.instances()].filter(
      (one) => one.droplet === droplet && one.version === message.version && one.index === index,
    );
    const runs = ofSlot.filter((one) => one.isListed && one.dea.connected && one.state === 'RUNNING');
    if (kind === 'start') {
      if (runs.some(({ exit, processed }) => exit === undefined && processed !== undefined))
        yield 'start of a slot that runs';
      return;
    }
    // Of an index that is not wanted none has to stay.
    if (
      this.#isWanted({ droplet, index, message }) &&
      message.is_duplicate === true &&
      !runs.some(({ guid }) => guid !== instance)
    )
      yield 'stop of the only instance of its index as a duplicate';
  }
}
