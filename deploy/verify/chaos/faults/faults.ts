import type { Random } from '../random.ts';
import { CONTROLLER_FAULTS } from './controller-faults.ts';
import { DEPLOYMENT_FAULTS } from './deployment-faults.ts';
import type { Fault, FaultKind } from './fault.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { SERVER_FAULTS } from './server-faults.ts';
import { STORED_DATA_FAULTS } from './stored-data-faults.ts';

/** Every kind of fault. Their times are drawn below and above `droplet_lost`, so that both sides are tested. */
const KINDS: Record<string, FaultKind> = {
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...STORED_DATA_FAULTS,
  ...NETWORK_FAULTS,
  ...CONTROLLER_FAULTS,
  ...DEPLOYMENT_FAULTS,
};

export const FAULT_KINDS: readonly string[] = Object.keys(KINDS);

/** Draws a fault of one of the kinds, with its parameters; `run` applies it. */
export function drawFault(random: Random, copies: readonly string[], kinds = FAULT_KINDS): Fault {
  const choices = kinds.map((kind) => ({ weight: (KINDS[kind] as FaultKind).weight, value: kind }));
  const kind = random.weighted(choices);
  return { kind, ...(KINDS[kind] as FaultKind).draw(random, copies) };
}
