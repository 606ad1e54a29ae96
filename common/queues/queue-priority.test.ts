import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PRIORITIES } from '../model/reasons.ts';
import { queuePriority } from './queue-priority.ts';

it('sends high before normal before low, and within one priority the larger share of missing indices first', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, share, (a, b) => {
      expect(queuePriority('high', a)).toBeGreaterThanOrEqual(1);
      expect(queuePriority('high', a)).toBeLessThan(queuePriority('normal', b));
      expect(queuePriority('normal', a)).toBeLessThan(queuePriority('low', b));
      expect(queuePriority('low', a)).toBeLessThanOrEqual(2_097_151);
      if (a > b + 0.002) expect(queuePriority('low', a)).toBeLessThan(queuePriority('low', b));
      expect(Number.isInteger(queuePriority('low', a))).toBe(true);
    }),
  );
});

it('sends starts of slots where earlier ones did not help after all first-time starts, fewer attempts first', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const priority = fc.constantFrom(...PRIORITIES);
  fc.assert(
    fc.property(
      share,
      share,
      priority,
      priority,
      fc.integer({ min: 1, max: 200 }),
      (a, b, one, other, attempts) => {
        const repeated = queuePriority(one, a, attempts);
        expect(repeated).toBeGreaterThan(queuePriority(other, b));
        if (attempts < 100) expect(repeated).toBeLessThan(queuePriority(other, b, attempts + 1));
        expect(repeated).toBeLessThanOrEqual(2_097_151);
        if (a > b + 0.002) expect(repeated).toBeLessThan(queuePriority(other, b, attempts));
      },
    ),
  );
});
