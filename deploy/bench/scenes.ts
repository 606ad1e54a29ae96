import type { Scene } from './row.ts';
import { crashToStart } from './rows/crash-to-start.ts';

/** All rows, in the order in which they are measured. */
export const SCENES: readonly Scene[] = [crashToStart];
