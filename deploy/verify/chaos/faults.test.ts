import { expect, test } from 'vitest';
import { drawFault, FAULT_KINDS } from './faults.ts';
import { Random } from './random.ts';

const COPIES = ['ingest 1', 'ingest 2', 'nudger 1'];

function plan(seed: number): string[] {
  const random = new Random(seed);
  return Array.from({ length: 500 }, () => {
    const { kind, what } = drawFault(random, COPIES);
    return `${kind} ${what}`;
  });
}

test('the same seed breaks the same things in the same order, another one others', () => {
  expect(plan(1)).toEqual(plan(1));
  expect(plan(1)).not.toEqual(plan(2));
});

test('every kind of fault is drawn', () => {
  const random = new Random(3);
  const kinds = new Set(Array.from({ length: 500 }, () => drawFault(random, COPIES).kind));
  expect([...kinds].sort()).toEqual([...FAULT_KINDS].sort());
});
