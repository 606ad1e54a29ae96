/** Wanted and running instances in the last hours, and when a hold was on. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { TimelinePoint } from '../../../../common/redis/fleet/timeline.ts';
import { serverNow } from '../../elements/clock.ts';
import { At, Num } from '../../elements/text.tsx';
import { useTheme } from '../../elements/theme.ts';
import type { Live } from '../../live.ts';
import { HEIGHT, optionsFor } from './chart.ts';
import { holdSpans, pointsOf, RANGES, type Range, withGaps, worstOf } from './points.ts';

/** @param known whether the fleet's figures are those of now: they are the last point */
export function Timeline({
  points: past,
  day,
  fleet,
  known,
}: Pick<Live, 'points' | 'day' | 'fleet'> & { known: boolean }) {
  const [range, setRange] = useState<Range>(1);
  const [hover, setHover] = useState<number | undefined>(undefined);
  const live = known ? fleet : undefined;
  const points = useMemo(
    () => pointsOf({ points: past, day }, range, live && { atMs: serverNow(), ...live }),
    [past, day, range, live],
  );
  const drawn = useMemo(() => withGaps(points, range), [points, range]);
  const latest = useRef(drawn);
  latest.current = drawn;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const theme = useTheme();
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const spans = () => holdSpans(latest.current);
    const made = new uPlot(optionsFor(parent, range, spans, setHover), [[], [], []], parent);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height: HEIGHT }));
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [theme, known, range]);
  useEffect(
    () =>
      plot.current?.setData([
        drawn.map(({ atMs }) => atMs / 1000),
        drawn.map(({ wanted }) => wanted),
        drawn.map(({ running }) => running),
      ]),
    [drawn, theme, known],
  );
  const pointed = hover === undefined ? undefined : drawn[hover];
  return (
    <section class="panel timeline" aria-labelledby="timeline">
      <div class="head">
        <h2 id="timeline">Wanted and running</h2>
        <fieldset class="ranges">
          <legend class="unseen">Time that the chart shows</legend>
          {RANGES.map((one) => (
            <button key={one} type="button" aria-pressed={one === range} onClick={() => setRange(one)}>
              {one} h
            </button>
          ))}
        </fieldset>
      </div>
      <div ref={box} class="chart" role="img" aria-label="Line chart; the sentence below summarises it" />
      <p class="note pointed">
        {pointed === undefined || pointed.wanted === null || pointed.running === null ? (
          <Summary points={points} range={range} />
        ) : (
          <Point {...pointed} wanted={pointed.wanted} running={pointed.running} />
        )}
      </p>
      <ul class="legend" aria-hidden="true">
        <li>
          <i class="line wanted" />
          wanted
        </li>
        <li>
          <i class="line running" />
          running
        </li>
        <li>
          <i class="swatch missing" />
          missing
        </li>
        <li>
          <i class="swatch hold" />a hold was on
        </li>
      </ul>
    </section>
  );
}

/** The values under the pointer. */
function Point({ atMs, wanted, running, holds }: TimelinePoint) {
  return (
    <>
      <At ms={atMs} />: <Num of={running} /> of <Num of={wanted} /> running
      {running < wanted && (
        <>
          , <Num of={wanted - running} /> missing
        </>
      )}
      {holds !== undefined && <>; hold {holds.join(', ')}</>}
    </>
  );
}

/** The chart as a sentence, also for screen readers. */
function Summary({ points, range }: { points: readonly TimelinePoint[]; range: Range }) {
  const worst = worstOf(points);
  if (worst === undefined) return <>The first point comes within ten seconds.</>;
  const missing = worst.wanted - worst.running;
  const within = range === 1 ? 'the last hour' : `the last ${range} hours`;
  if (missing <= 0) return <>Nothing was missing in {within}.</>;
  return (
    <>
      At worst <Num of={missing} /> of <Num of={worst.wanted} /> were not running, at <At ms={worst.atMs} />.
    </>
  );
}
