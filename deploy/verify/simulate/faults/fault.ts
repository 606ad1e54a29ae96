import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../chaos/random.ts';
import type { Copy } from '../world/copy.ts';
import type { World } from '../world/world.ts';

/** A kind of fault. Everything about one fault is drawn from a seed of its own, so that it stays the same without others. */
export interface FaultKind {
  /** How often it is drawn, in proportion to the others. */
  weight: number;
  /** The cloud must recover within this time (ms), where the policy allows more than usual. */
  recoversWithinMs?: number;
  /** Resolves when everything works again. It waits in virtual time. */
  run(world: World, random: Random): Promise<void>;
}

export const pickCopy = ({ copies }: World, random: Random): Copy => random.pick(copies);

/** All copies of one kind, some of them, or one. */
export function pickCopies({ copies }: World, random: Random): Copy[] {
  if (random.chance(0.5)) return [random.pick(copies)];
  const { kind } = random.pick(copies);
  return random.chance(0.5) ? copies.filter((copy) => copy.kind === kind) : random.sample(copies, 3);
}

export { delay };
