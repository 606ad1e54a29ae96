import { DECISIONS } from './lists/decisions.ts';
import { FLEET } from './lists/fleet.ts';
import { HOLDS } from './lists/holds.ts';
import { DELIVERY, INGEST } from './lists/processes.ts';
import { SCRIPTS } from './lists/scripts.ts';
import { SLOTS } from './lists/slots.ts';
import { SYNC } from './lists/sync.ts';
import { FLEET_SCRIPTS, SYNC_SCRIPTS } from './lists/sync-and-fleet-scripts.ts';
import type { Area } from './mutant.ts';

export const AREAS: readonly Area[] = [
  ...[FLEET, HOLDS, SLOTS, DECISIONS],
  ...[SCRIPTS, SYNC_SCRIPTS, FLEET_SCRIPTS, SYNC, INGEST, DELIVERY],
];

/** The folders with the code that mutants change. */
export const MUTATED = ['common', 'ingest', 'analyzer', 'nudger'] as const;
