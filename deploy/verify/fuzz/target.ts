/** What is fuzzed: takes inputs of its own kind, throws where something is wrong. */
import type { Arbitrary } from 'fast-check';

/** What became of an input: `ok`, or the reason of its rejection. */
export type Fate = string;

export interface Target {
  name: string;
  /** How many of a thousand inputs are for it. */
  share: number;
  /** Inputs that are taken together: more than one where each lot is followed by a look at Redis. */
  lot: number;
  input: Arbitrary<unknown>;
  /** @throws whatever is a fault: a crash, something wrong written, a reason that is none */
  take(inputs: readonly unknown[]): Fate[] | Promise<Fate[]>;
}

/** A target from an arbitrary and what takes one input of it. */
export function target<T>(
  name: string,
  share: number,
  input: Arbitrary<T>,
  take: (input: T) => Fate,
): Target {
  return { name, share, lot: 1, input, take: (inputs) => inputs.map((one) => take(one as T)) };
}

/** @throws Error with the words if it is not so */
export function must(condition: boolean, words: string): asserts condition {
  if (!condition) throw new Error(words);
}
