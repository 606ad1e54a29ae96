import type { Random } from '../../chaos/random.ts';
import { CALL_FAULTS } from './call-faults.ts';
import { CONTROLLER_FAULTS } from './controller-faults.ts';
import { DATA_FAULTS } from './data-faults.ts';
import type { FaultKind } from './fault.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { SERVER_FAULTS } from './server-faults.ts';

/** All kinds of faults, by name. */
export const FAULTS: Readonly<Record<string, FaultKind>> = {
  ...PROCESS_FAULTS,
  ...CALL_FAULTS,
  ...SERVER_FAULTS,
  ...DATA_FAULTS,
  ...CONTROLLER_FAULTS,
};

const CHOICES = Object.entries(FAULTS).map(([value, { weight }]) => ({ weight, value }));

/** @returns the name of a random kind of fault */
export const drawFault = (random: Random): string => random.weighted(CHOICES);
