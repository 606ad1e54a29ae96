/** The layout of the map's cells. Pure. */
import type { DeaCell } from '../../../api/types.ts';

export interface Layout {
  /** Side of a cell with the gap beside it (px). */
  pitch: number;
  gap: number;
  columns: number;
  rows: number;
}

/** The largest cell can be hit with a finger; below the smallest, cells could not be distinguished (px). */
const LARGEST = 30;
const SMALLEST = 5;

/** The largest cells that fit the width and about the height (px). */
export function layoutOf(cells: number, width: number, height: number): Layout {
  for (let pitch = LARGEST; ; pitch--) {
    const columns = Math.max(1, Math.floor(width / pitch));
    const rows = Math.max(1, Math.ceil(cells / columns));
    if (rows * pitch <= height || pitch === SMALLEST) {
      return { pitch, gap: pitch >= 14 ? 3 : pitch >= 8 ? 2 : 1, columns, rows };
    }
  }
}

/** The position of the cell at a point of the map (px); undefined where there is none. */
export function cellAt({ pitch, columns }: Layout, cells: number, x: number, y: number): number | undefined {
  const column = Math.floor(x / pitch);
  if (column < 0 || column >= columns || y < 0) return undefined;
  const at = Math.floor(y / pitch) * columns + column;
  return at < cells ? at : undefined;
}

/** The cell that a key moves to; undefined: not a key of the map. */
export function cellAfterKey(
  at: number,
  key: string,
  { columns }: Layout,
  cells: number,
): number | undefined {
  const steps: Record<string, number> = {
    ...{ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns },
    ...{ PageDown: 10 * columns, PageUp: -10 * columns, Home: -cells, End: cells },
  };
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  if (step === undefined) return undefined;
  return Math.min(cells - 1, Math.max(0, at + step));
}

/** Sorted by id, so that a cell keeps its place. */
export function sortCells(deas: ReadonlyMap<string, DeaCell>): DeaCell[] {
  return [...deas.values()].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Shades for load. */
export const SHADES = 5;

/** 0 for an empty DEA, else 1 to `SHADES` by its load relative to the fullest DEA. */
export function shadeOf(instances: number, most: number): number {
  return instances === 0 || most === 0 ? 0 : Math.ceil((instances / most) * SHADES);
}
