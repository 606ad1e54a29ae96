import type { Scene } from './row.ts';
import { events } from './rows/events.ts';
import { load } from './rows/load.ts';
import { overload } from './rows/overload.ts';
import { steadyFleet } from './rows/steady-fleet.ts';

/** All rows, in the order in which they are measured. */
export const SCENES: readonly Scene[] = [steadyFleet, events, load, overload];
