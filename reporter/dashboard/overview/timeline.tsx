/** Wanted and running instances in the last hour. */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { FleetUpdate } from '../../api/types.ts';
import { serverNow } from '../elements/clock.ts';
import { At, Num } from '../elements/text.tsx';
import { useTheme } from '../elements/theme.ts';
import type { Live } from '../live.ts';

const HEIGHT = 190;
const HOUR_S = 3600;
/** The shortest span of the time axis. */
const MIN_SPAN_S = 600;

/** @param known whether the fleet's figures are those of now: they are the last point */
export function Timeline({
  points: past,
  fleet,
  known,
}: Pick<Live, 'points' | 'fleet'> & { known: boolean }) {
  const slots = known ? fleet?.slots : undefined;
  const points = useMemo(() => (slots === undefined ? past : withNow(past, slots)), [past, slots]);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const theme = useTheme();
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const made = new uPlot(optionsFor(parent), dataOf([]), parent);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height: HEIGHT }));
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [theme, known]);
  useEffect(() => plot.current?.setData(dataOf(points)), [points, theme, known]);
  return (
    <section class="panel" aria-label="Wanted and running, the last hour">
      <h2>Wanted and running, the last hour</h2>
      <div ref={box} class="chart" role="img" aria-label="Line chart; the sentence below summarises it" />
      <p class="note">
        <Summary points={points} />
      </p>
    </section>
  );
}

/** The chart as a sentence, also for screen readers. */
function Summary({ points }: Pick<Live, 'points'>) {
  let worst = points[0];
  for (const point of points) {
    if (worst === undefined || point.wanted - point.running > worst.wanted - worst.running) worst = point;
  }
  if (worst === undefined) return <>The first point comes within ten seconds.</>;
  const missing = worst.wanted - worst.running;
  if (missing === 0) return <>Nothing was missing at any of {points.length} points, ten seconds apart.</>;
  return (
    <>
      At worst <Num of={missing} /> of <Num of={worst.wanted} /> were not running, at <At ms={worst.atMs} />.
    </>
  );
}

/** The points, with what runs now as the last one. */
function withNow(past: Live['points'], { wanted, running, flapping }: FleetUpdate['slots']): Live['points'] {
  const latestMs = past.at(-1)?.atMs;
  if (latestMs === undefined) return past;
  const atMs = Math.max(serverNow(), latestMs + 1);
  return [...past, { atMs, wanted, running, flapping }];
}

/** Points are ten seconds apart; over a longer gap it was not known what ran. */
const GAP_MS = 35_000;

/** With an empty point in each gap, so that no line is drawn over it. */
function withGaps(points: Live['points']): { atMs: number; wanted: number | null; running: number | null }[] {
  return points.flatMap((point, at) => {
    const before = points[at - 1];
    if (before === undefined || point.atMs - before.atMs <= GAP_MS) return [point];
    return [{ atMs: before.atMs + 1, wanted: null, running: null }, point];
  });
}

function dataOf(known: Live['points']): uPlot.AlignedData {
  const points = withGaps(known);
  return [
    points.map(({ atMs }) => atMs / 1000),
    points.map(({ wanted }) => wanted),
    points.map(({ running }) => running),
  ];
}

function optionsFor(parent: HTMLElement): uPlot.Options {
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
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    scales: {
      x: {
        time: true,
        range: (_, min, max) => [Math.max(max - HOUR_S, Math.min(min, max - MIN_SPAN_S)), max],
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
      { label: 'wanted', stroke: colour('--dim'), width: 1.5, dash: [4, 3], points: { show: false } },
      {
        label: 'running',
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

/** A range close to the lines, so that a few missing instances of many are visible; at least a few instances wide. */
function rangeOf(min: number, max: number): [number, number] {
  if (!Number.isFinite(min) || !Number.isFinite(max) || max === 0) return [0, 10];
  const span = Math.max(4, (max - min) * 1.3, max * 0.02);
  return [Math.max(0, Math.floor(max - span)), Math.ceil(max + span * 0.12)];
}
