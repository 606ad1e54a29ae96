/** The DEAs for the dashboard's map. */
import type { Dea } from '../../common/views/deas.ts';
import type { DeaCell } from './types.ts';

/** The cells of the map at the latest update, to find what changes. */
export class DeaMap {
  #cells = new Map<string, DeaCell>();

  get cells(): DeaCell[] {
    return [...this.#cells.values()];
  }

  /** @returns the changes since the update before */
  update(deas: readonly Dea[]): { cells: DeaCell[]; gone: string[] } {
    const cells: DeaCell[] = [];
    const next = new Map<string, DeaCell>();
    for (const { dea, state, instances } of deas) {
      const before = this.#cells.get(dea);
      const isSame = before !== undefined && before[1] === state && before[2] === instances;
      const cell: DeaCell = isSame ? before : [dea, state, instances];
      if (!isSame) cells.push(cell);
      next.set(dea, cell);
    }
    const gone = [...this.#cells.keys()].filter((dea) => !next.has(dea));
    this.#cells = next;
    return { cells, gone };
  }
}
