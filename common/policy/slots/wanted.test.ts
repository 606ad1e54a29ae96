import { expect, it } from 'vitest';
import { desired, droplet } from '../../testing/builders.ts';
import { wantedIndices } from './wanted.ts';

it('at most 65,536 slots are wanted, because the wire has no more indices', () => {
  expect(wantedIndices(droplet({ desired: desired({ instances: 1_000_000 }) }))).toBe(65_536);
});
