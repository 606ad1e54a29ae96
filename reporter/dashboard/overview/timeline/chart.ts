/** How the chart looks. */
import uPlot from 'uplot';
import type { Range } from './points.ts';

/** Height of the chart (px). */
export const HEIGHT = 190;
/** The shortest span of the time axis. */
const MIN_SPAN_S = 600;
/** Height of the mark of a hold, at the top of the chart (px). */
const MARK = 5;

/**
 * @param spans the times in which a hold was on
 * @param onHover called with the position of the point under the pointer
 */
export function optionsFor(
  parent: HTMLElement,
  range: Range,
  spans: () => readonly { fromMs: number; toMs: number }[],
  onHover: (at: number | undefined) => void,
): uPlot.Options {
  const style = getComputedStyle(parent);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour('--dim'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: parent.clientWidth,
    height: HEIGHT,
    padding: [8, 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    hooks: {
      setCursor: [({ cursor }) => onHover(cursor.idx ?? undefined)],
      drawClear: [(plot) => paintHolds(plot, spans(), colour('--hold'), colour('--hold-soft'))],
    },
    scales: {
      x: {
        time: true,
        range: (_, min, max) => [Math.max(max - range * 3600, Math.min(min, max - MIN_SPAN_S)), max],
      },
      y: { range: (_, min, max) => rangeOf(min, max) },
    },
    axes: [
      { ...axis, size: 26, space: 70, values: '{HH}:{mm}' },
      {
        ...axis,
        size: 54,
        incrs: [
          1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000,
        ],
      },
    ],
    series: [
      {},
      {
        label: 'wanted',
        ...STEPPED,
        stroke: colour('--dim'),
        width: 1.5,
        dash: [4, 3],
        points: { show: false },
      },
      {
        label: 'running',
        ...STEPPED,
        stroke: colour('--good'),
        width: 1.8,
        fill: colour('--good-soft'),
        points: { show: false },
      },
    ],
    // Missing instances.
    bands: [{ series: [1, 2], fill: colour('--bad-soft') }],
  };
}

/** A value stays until the next point. */
const stepped = uPlot.paths.stepped?.({ align: 1 });
const STEPPED = stepped === undefined ? {} : { paths: stepped };

/** Behind the lines: a band, and a mark at its top. */
function paintHolds(
  { ctx, bbox, valToPos }: uPlot,
  spans: readonly { fromMs: number; toMs: number }[],
  strong: string,
  soft: string,
): void {
  const { left, top, width, height } = bbox;
  const at = (ms: number) => Math.min(left + width, Math.max(left, valToPos(ms / 1000, 'x', true)));
  ctx.save();
  for (const { fromMs, toMs } of spans) {
    const from = at(fromMs);
    const wide = Math.max(2, at(toMs) - from);
    ctx.fillStyle = soft;
    ctx.fillRect(from, top, wide, height);
    ctx.fillStyle = strong;
    ctx.fillRect(from, top, wide, MARK * devicePixelRatio);
  }
  ctx.restore();
}

/** A range close to the lines, so that a few missing instances of many are visible; at least a few instances wide. */
function rangeOf(min: number, max: number): [number, number] {
  if (!Number.isFinite(min) || !Number.isFinite(max) || max === 0) return [0, 10];
  const span = Math.max(4, (max - min) * 1.3, max * 0.02);
  return [Math.max(0, Math.floor(max - span)), Math.ceil(max + span * 0.12)];
}
