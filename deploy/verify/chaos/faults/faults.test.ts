import { expect, test } from 'vitest';
import { Random } from '../random.ts';
import { FAULT_KINDS, FaultDeck } from './faults.ts';

const COPIES = ['ingest 1', 'ingest 2', 'nudger 1'];

function draw(seed: number): string[] {
  const deck = new FaultDeck(new Random(seed));
  return Array.from({ length: 500 }, () => {
    const { kind, what } = deck.draw(COPIES);
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
])('%s is drawn, several times in 300 faults', (_, wanted) => {
  const deck = new FaultDeck(new Random(3), wanted);
  const kinds = Array.from({ length: 300 }, () => deck.draw(COPIES).kind);
  expect([...new Set(kinds)].sort()).toEqual([...wanted].sort());
  for (const kind of wanted) expect(kinds.filter((drawn) => drawn === kind).length).toBeGreaterThanOrEqual(3);
});
