import type { Random } from '../random.ts';
import { CONTROLLER_FAULTS } from './controller-faults.ts';
import { DEPLOYMENT_FAULTS } from './deployment-faults.ts';
import type { Fault, FaultKind } from './fault.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { SERVER_FAULTS } from './server-faults.ts';
import { STORED_DATA_FAULTS } from './stored-data-faults.ts';

/** Every kind of fault. Their times are drawn below and above `droplet_lost`, so that both sides are tested. */
const KINDS: Record<string, FaultKind> = {
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...STORED_DATA_FAULTS,
  ...NETWORK_FAULTS,
  ...CONTROLLER_FAULTS,
  ...DEPLOYMENT_FAULTS,
};

export const FAULT_KINDS: readonly string[] = Object.keys(KINDS);

/** In a deck each kind has this many cards for each of its weight. */
const CARDS = 2;

/**
 * Draws faults from a shuffled deck and shuffles it again when it is empty, so that a run as long as a deck meets every kind, the rare
 * ones too.
 */
export class FaultDeck {
  readonly #random: Random;
  readonly #all: readonly string[];
  #left: string[] = [];

  /** @param kinds of which faults are drawn */
  constructor(random: Random, kinds = FAULT_KINDS) {
    this.#random = random;
    this.#all = kinds.flatMap((kind) => Array(CARDS * weightOf(kind)).fill(kind));
  }

  /**
   * A fault with its parameters; `run` applies it.
   *
   * @param copies the names of all process copies
   */
  draw(copies: readonly string[]): Fault {
    if (this.#left.length === 0) this.#left = this.#random.sample(this.#all, this.#all.length);
    const kind = this.#left.pop() as string;
    return { kind, ...(KINDS[kind] as FaultKind).draw(this.#random, copies) };
  }
}

const weightOf = (kind: string) => (KINDS[kind] as FaultKind).weight;
