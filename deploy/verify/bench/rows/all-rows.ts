import type { RowGroup } from '../results/row.ts';
import { events } from './events/events.ts';
import { losses } from './losses/losses.ts';
import { lists } from './pages/lists.ts';
import { page } from './pages/page.ts';
import { bigApp } from './peaks/big-app.ts';
import { load } from './peaks/load.ts';
import { overload } from './peaks/overload.ts';
import { surge } from './peaks/surge.ts';
import { growth } from './steady/growth.ts';
import { idle } from './steady/idle.ts';
import { steadyFleet } from './steady/steady-fleet.ts';

/** All rows, in the order in which they are measured. */
export const ROW_GROUPS: readonly RowGroup[] = [
  idle,
  steadyFleet,
  events,
  load,
  overload,
  surge,
  bigApp,
  losses,
  lists,
  page,
  growth,
];
