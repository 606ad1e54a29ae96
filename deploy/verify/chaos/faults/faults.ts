import type { Random } from '../random.ts';
import { CONTROLLER_FAULTS } from './controller-faults.ts';
import type { Fault, FaultKind } from './fault.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { SERVER_FAULTS } from './server-faults.ts';

/** Every kind of fault. Their times are drawn below and above `droplet_lost`, so that both sides are tested. */
const KINDS: Record<string, FaultKind> = {
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...NETWORK_FAULTS,
  ...CONTROLLER_FAULTS,
};

const CHOICES = Object.entries(KINDS).map(([kind, { weight }]) => ({ weight, value: kind }));

export const FAULT_KINDS: readonly string[] = Object.keys(KINDS);

/** Draws a fault and its parameters; `run` applies it. */
export function drawFault(random: Random, copies: readonly string[]): Fault {
  const kind = random.weighted(CHOICES);
  return { kind, ...(KINDS[kind] as FaultKind).draw(random, copies) };
}
