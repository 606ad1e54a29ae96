import { describe, expect, test } from 'vitest';
import { cellAfterKey, cellAt, layoutOf, SHADES, shadeOf, sortCells } from './map-layout.ts';

describe('the map', () => {
  test.each([
    ['a few cells are large', 3, 500, 30],
    ['hundreds of cells are smaller', 500, 500, 17],
    ['10,000 cells fit a desktop screen', 10_000, 500, 5],
  ])('%s', (_, cells, width, pitch) => {
    const layout = layoutOf(cells, width, 340);
    expect(layout.pitch).toBe(pitch);
    expect(layout.columns * layout.rows).toBeGreaterThanOrEqual(cells);
    expect(layout.columns * layout.pitch).toBeLessThanOrEqual(width);
  });

  test('every cell is found at its position, and none outside', () => {
    const layout = layoutOf(50, 200, 340);
    for (let at = 0; at < 50; at++) {
      const x = (at % layout.columns) * layout.pitch;
      const y = Math.floor(at / layout.columns) * layout.pitch;
      expect(cellAt(layout, 50, x + 1, y + 1)).toBe(at);
    }
    expect(cellAt(layout, 50, 1, layout.rows * layout.pitch + 1)).toBeUndefined();
    expect(cellAt(layout, 50, layout.columns * layout.pitch + 1, 1)).toBeUndefined();
  });

  test('keys move from cell to cell within the map', () => {
    const layout = layoutOf(50, 200, 340);
    expect(cellAfterKey(3, 'ArrowRight', layout, 50)).toBe(4);
    expect(cellAfterKey(3, 'ArrowDown', layout, 50)).toBe(3 + layout.columns);
    expect(cellAfterKey(0, 'ArrowLeft', layout, 50)).toBe(0);
    expect(cellAfterKey(3, 'End', layout, 50)).toBe(49);
    expect(cellAfterKey(-1, 'ArrowRight', layout, 50)).toBe(0);
    expect(cellAfterKey(3, 'x', layout, 50)).toBeUndefined();
    expect(cellAfterKey(3, 'constructor', layout, 50)).toBeUndefined();
  });

  test('cells keep their place; shades follow the load', () => {
    const deas = new Map(['b', 'a'].map((dea) => [dea, [dea, 'alive', 1] as const]));
    expect(sortCells(new Map([...deas].map(([dea, cell]) => [dea, [...cell]]))).map(([dea]) => dea)).toEqual([
      'a',
      'b',
    ]);
    expect([0, 1, 50, 100].map((n) => shadeOf(n, 100))).toEqual([0, 1, 3, SHADES]);
    expect(shadeOf(0, 0)).toBe(0);
  });
});
