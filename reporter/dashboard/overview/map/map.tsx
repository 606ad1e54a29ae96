/** The DEAs, one cell each, coloured by state and load. One canvas costs the same for thousands as for a few. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { DeaCell, DeaState } from '../../../api/types.ts';
import { describe, summaryOf } from '../../elements/dea-text.ts';
import { useTheme } from '../../elements/theme.ts';
import type { Live } from '../../live.ts';
import { hrefOf } from '../../route.ts';
import { DeaList } from '../dea-list.tsx';
import { cellAfterKey, cellAt, type Layout, layoutOf, SHADES, shadeOf, sortCells } from './map-layout.ts';

const HEIGHT = 340;

/** @param known whether the states are those of now */
export function DeaMap({ deas, known }: Pick<Live, 'deas'> & { known: boolean }) {
  const cells = useMemo(() => sortCells(deas), [deas]);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [chosen, setChosen] = useState<number | undefined>(undefined);
  const theme = useTheme();
  const layout = useMemo(() => layoutOf(cells.length, width, HEIGHT), [cells.length, width]);
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const observer = new ResizeObserver(() => setWidth(parent.clientWidth));
    observer.observe(parent);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current !== null && width > 0) paint(canvas.current, cells, layout, chosen);
  }, [cells, layout, chosen, theme, width, known]);

  const summary = known ? summaryOf(cells) : `Not known which of ${cells.length} DEAs are alive.`;
  const cell = chosen === undefined ? undefined : cells[chosen];
  const point = ({ offsetX, offsetY }: MouseEvent) => cellAt(layout, cells.length, offsetX, offsetY);
  const open = (dea: DeaCell | undefined) => {
    if (dea !== undefined) location.hash = hrefOf('dea', dea[0]);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') open(cell);
    const to = cellAfterKey(chosen ?? -1, event.key, layout, cells.length);
    if (to === undefined || cells.length === 0) return;
    event.preventDefault();
    setChosen(to);
  };
  return (
    <section class="panel" aria-label="DEAs">
      <h2>DEAs</h2>
      <div ref={box} class="map">
        {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: keys go to the map itself */}
        <canvas
          ref={canvas}
          tabIndex={0}
          role="application"
          aria-roledescription="map of DEAs"
          aria-label={`${summary} Arrow keys move from one to the next, Enter opens it.`}
          onMouseMove={(event) => setChosen(point(event))}
          onMouseLeave={() => setChosen(undefined)}
          onClick={(event) => open(cells[point(event) ?? -1])}
          onKeyDown={onKeyDown}
          onBlur={() => setChosen(undefined)}
        />
        {cell !== undefined && chosen !== undefined && (
          <div class="tooltip" aria-hidden="true" style={tooltipAt(chosen, layout, width)}>
            {describe(cell)}
          </div>
        )}
      </div>
      <p class="readout">
        <output>{cell === undefined ? summary : describe(cell)}</output>
      </p>
      <Legend />
      <DeaList cells={cells} />
    </section>
  );
}

/** Below the cell; right of the middle it grows to the left. */
function tooltipAt(at: number, { pitch, columns }: Layout, width: number) {
  const x = (at % columns) * pitch;
  const top = `${(Math.floor(at / columns) + 1) * pitch + 2}px`;
  return x > width / 2 ? { top, right: `${width - x - pitch}px` } : { top, left: `${x}px` };
}

function Legend() {
  return (
    <ul class="legend" aria-hidden="true">
      <li>
        <i class="swatch shade-0" />
        empty
      </li>
      <li>
        {Array.from({ length: SHADES }, (_, at) => (
          <i key={at} class={`swatch shade-${at + 1}`} />
        ))}
        load
      </li>
      <li>
        <i class="swatch leaving" />
        leaving
      </li>
      <li>
        <i class="swatch left" />
        left
      </li>
      <li>
        <i class="swatch late" />
        late
      </li>
      <li>
        <i class="swatch lost" />
        lost
      </li>
    </ul>
  );
}

function paint(
  canvas: HTMLCanvasElement,
  cells: readonly DeaCell[],
  layout: Layout,
  chosen: number | undefined,
) {
  const { pitch, gap, columns, rows } = layout;
  const ratio = devicePixelRatio;
  const [width, height] = [columns * pitch, rows * pitch];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const shades = Array.from({ length: SHADES + 1 }, (_, shade) => colour(`--shade-${shade}`));
  const states: Record<DeaState, string> = {
    alive: '',
    leaving: colour('--leaving'),
    left: colour('--dim'),
    late: colour('--warn'),
    lost: colour('--bad'),
  };
  const mark = colour('--surface');
  const most = cells.reduce((max, [, , instances]) => Math.max(max, instances), 0);
  const side = pitch - gap;
  cells.forEach(([, state, instances], at) => {
    const x = (at % columns) * pitch;
    const y = Math.floor(at / columns) * pitch;
    context.fillStyle = state === 'alive' ? (shades[shadeOf(instances, most)] as string) : states[state];
    // One that has left is an outline: nothing runs there.
    if (state === 'left') {
      context.strokeStyle = states.left;
      context.lineWidth = 1;
      context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
      return;
    }
    context.fillRect(x, y, side, side);
    // Not by colour alone.
    if (side >= 8 && (state === 'lost' || state === 'late')) strike(context, x, y, side, state, mark);
  });
  if (chosen === undefined || chosen >= cells.length) return;
  context.strokeStyle = colour('--text');
  context.lineWidth = 2;
  context.strokeRect(
    (chosen % columns) * pitch - 0.5,
    Math.floor(chosen / columns) * pitch - 0.5,
    side + 1,
    side + 1,
  );
}

/** A cross for a lost one, one stroke for a late one. */
function strike(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  side: number,
  state: DeaState,
  colour: string,
) {
  const [near, far] = [side * 0.28, side * 0.72];
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1, side / 10);
  context.beginPath();
  context.moveTo(x + near, y + far);
  context.lineTo(x + far, y + near);
  if (state === 'lost') {
    context.moveTo(x + near, y + near);
    context.lineTo(x + far, y + far);
  }
  context.stroke();
}
