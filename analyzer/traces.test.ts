import { expect, test } from 'vitest';
import type { Decision } from './decide/decision.ts';
import { attributesOf, DECISIONS_TOLD } from './traces.ts';

const start = (id: string, reason: 'missing' | 'crashed'): Decision => ({
  ...{ kind: 'start', id, index: 0, version: 'v1', reason, priority: 'normal', queuePriority: 1 },
});

test('a span tells what was decided, and why', () => {
  const held: Decision = {
    ...{ kind: 'held', id: 'web.start-2.8-x', hold: 'mass_loss', what: 'start' },
    ...{ index: 2, version: 'v1', reason: 'missing' },
  };
  const decisions = [start('web.start-0.7-x', 'crashed'), start('web.start-1.8-x', 'missing'), held];
  expect(attributesOf('web', { decisions })).toEqual({
    'hm.droplet': 'web',
    'hm.decided': 3,
    'hm.decisions': ['start web.start-0.7-x', 'start web.start-1.8-x', 'held web.start-2.8-x'],
    'hm.reasons': ['crashed', 'missing'],
    'hm.holds': ['mass_loss'],
  });
});

test('it tells of nothing decided, and not of a thousand decisions', () => {
  expect(attributesOf('web', { decisions: [] })).toEqual({
    ...{ 'hm.droplet': 'web', 'hm.decided': 0, 'hm.decisions': [], 'hm.reasons': [] },
  });
  const many = Array.from({ length: 1_000 }, (_, index) => start(`web.start-${index}.1-x`, 'missing'));
  const told = attributesOf('web', { decisions: many });
  expect(told['hm.decided']).toBe(1_000);
  expect(told['hm.decisions']).toHaveLength(DECISIONS_TOLD);
});
