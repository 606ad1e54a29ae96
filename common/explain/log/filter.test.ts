import { expect, test } from 'vitest';
import type { Fact } from '../facts.ts';
import { type FactFilter, isSelected } from './filter.ts';

const fact = (more: Partial<Fact>): Fact => ({ droplet: 'app', atMs: 100, kind: 'start', ...more });

test.each<[FactFilter, Partial<Fact>, boolean]>([
  [{}, {}, true],
  [{ sinceMs: 100, untilMs: 100 }, {}, true],
  [{ sinceMs: 101 }, {}, false],
  [{ untilMs: 99 }, {}, false],
  [{ kinds: ['stop', 'start'] }, {}, true],
  [{ kinds: ['stop'] }, {}, false],
  [{ reasons: ['missing'] }, { reason: 'missing' }, true],
  [{ reasons: ['missing'] }, { reason: 'crashed' }, false],
  [{ reasons: ['missing'] }, {}, false],
  [{ reasons: ['CRASHED'] }, { kind: 'exit', exit: 'CRASHED' }, true],
  [{ reasons: ['mass_loss'] }, { kind: 'held', hold: 'mass_loss', reason: 'missing' }, true],
  [{ kinds: ['held'], reasons: ['mass_loss'] }, { hold: 'mass_loss' }, false],
  [{ droplet: 'PP' }, {}, true],
  [{ droplet: 'other' }, {}, false],
  [{ dea: 'dea-1' }, { dea: 'dea-12' }, true],
  [{ dea: 'dea-1' }, {}, false],
])('%j of %j: %s', (filter, more, expected) => {
  expect(isSelected(fact(more), filter)).toBe(expected);
});
