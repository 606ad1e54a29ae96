/** The targets of the fuzzing. A target processes generated inputs and throws at every fault. */
import type { Arbitrary } from 'fast-check';

/** The result for one input: `ok`, or the reason of its rejection. */
export type Outcome = string;

export interface Target {
  name: string;
  /** How many of a thousand inputs it gets. */
  share: number;
  /** How many inputs it processes together; more than one if it reads Redis after each batch. */
  batchSize: number;
  input: Arbitrary<unknown>;
  /** @throws at a crash, a wrong write or an unknown reason */
  process(inputs: readonly unknown[]): Outcome[] | Promise<Outcome[]>;
}

/** A target that processes one input at a time. */
export function target<T>(
  name: string,
  share: number,
  input: Arbitrary<T>,
  process: (input: T) => Outcome,
): Target {
  return { name, share, batchSize: 1, input, process: (inputs) => inputs.map((one) => process(one as T)) };
}

/** @throws Error with `problem` unless the condition holds */
export function check(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}
