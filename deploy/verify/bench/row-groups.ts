import type { RowGroup } from './row.ts';
import { bigApp } from './rows/big-app.ts';
import { events } from './rows/events.ts';
import { idle } from './rows/idle.ts';
import { lists } from './rows/lists.ts';
import { load } from './rows/load.ts';
import { overload } from './rows/overload.ts';
import { steadyFleet } from './rows/steady-fleet.ts';

/** All rows, in the order in which they are measured. */
export const ROW_GROUPS: readonly RowGroup[] = [idle, steadyFleet, events, load, overload, bigApp, lists];
