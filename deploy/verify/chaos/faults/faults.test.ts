import { expect, test } from 'vitest';
import { Random } from '../random.ts';
import { drawFault, FAULT_KINDS } from './faults.ts';

const COPIES = ['ingest 1', 'ingest 2', 'nudger 1'];

function draw(seed: number): string[] {
  const random = new Random(seed);
  return Array.from({ length: 500 }, () => {
    const { kind, what } = drawFault(random, COPIES);
    return `${kind} ${what}`;
  });
}

test('the same seed draws the same faults in the same order, and another seed draws others', () => {
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});

test.each([
  ['by default every kind', FAULT_KINDS],
  ['on request a single kind', ['Redis records deleted']],
])('%s is drawn', (_, wanted) => {
  const random = new Random(3);
  const kinds = new Set(Array.from({ length: 3_000 }, () => drawFault(random, COPIES, wanted).kind));
  expect([...kinds].sort()).toEqual([...wanted].sort());
});
