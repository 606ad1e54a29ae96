import fc from 'fast-check';
import { expect, it } from 'vitest';
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
