import type { Scene } from './row.ts';
import { crashToStart } from './rows/crash-to-start.ts';
import { steadyFleet } from './rows/steady-fleet.ts';

/** All rows, in the order in which they are measured. */
export const SCENES: readonly Scene[] = [steadyFleet, crashToStart];
