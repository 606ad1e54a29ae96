/** How things stand, in one sentence. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TroubledUpdate } from '../../api/types.ts';
import type { Live } from '../live.ts';

export type Level = 'unknown' | 'good' | 'warn' | 'bad';

export interface Status {
  level: Level;
  /** For the title of the tab, too. */
  short: string;
  text: string;
}

const number = new Intl.NumberFormat('en');

/** Instances that are missing now: exact where all troubled droplets are told, else as the audits counted. */
export function missingNow({ fleet, troubled }: Pick<Live, 'fleet' | 'troubled'>): number {
  if (troubled !== undefined && troubled.count <= troubled.droplets.length) return sumMissing(troubled);
  return fleet?.totals.missing ?? 0;
}

function sumMissing({ droplets }: TroubledUpdate): number {
  return droplets.reduce((sum, { missing }) => sum + missing, 0);
}

/** Pure. */
export function statusOf(live: Live): Status {
  const { connection, unavailable, fleet, silent, troubled } = live;
  if (unavailable !== undefined) return { level: 'unknown', short: 'Redis is away', text: unavailable };
  if (connection === 'lost') {
    const text = 'The connection to the reporter is lost: what stands here is old. Connecting again.';
    return { level: 'unknown', short: 'not connected', text };
  }
  if (fleet === undefined || silent === undefined || troubled === undefined) {
    return { level: 'unknown', short: 'connecting', text: 'Connecting to the reporter.' };
  }
  const wanted = fleet.totals.running + fleet.totals.missing;
  const missing = missingNow(live);
  const lost = silent.deas.filter(({ state }) => state === 'lost').length;
  const held = fleet.holds.filter(({ hold }) => hold !== 'update_required').map(({ hold }) => hold);
  const holds = held.length === 0 ? '' : ` The hold ${held.join(' and ')} is on.`;
  if (missing > 0) {
    const verb = missing === 1 ? 'does' : 'do';
    const text = `${number.format(missing)} of ${number.format(Math.max(wanted, missing))} wanted instances ${verb} not run.${holds}`;
    return { level: 'bad', short: `${number.format(missing)} missing`, text };
  }
  if (held.length > 0) return { level: 'bad', short: held.join(', '), text: holds.trim() };
  if (lost > 0) {
    const deas = lost === 1 ? 'A DEA is lost' : `${lost} DEAs are lost`;
    return { level: 'warn', short: 'healed', text: `${deas}; everything that ran there runs elsewhere.` };
  }
  if (troubled.count > 0) {
    const are = troubled.count === 1 ? 'app has' : 'apps have';
    const text = `Everything that is wanted runs; ${troubled.count} ${are} instances too many.`;
    return { level: 'warn', short: 'surplus', text };
  }
  if (wanted === 0) return { level: 'good', short: 'nothing wanted', text: 'Nothing is wanted to run.' };
  const all =
    wanted === 1 ? 'The one wanted instance runs.' : `All ${number.format(wanted)} wanted instances run.`;
  return { level: 'good', short: 'all run', text: all };
}

/** A screen reader is told of changes, at most so often. */
const SAY_EVERY_MS = 5_000;

export function Headline({ standing }: { standing: Status }) {
  const [said, setSaid] = useState('');
  const latest = useRef(standing.text);
  latest.current = standing.text;
  useEffect(() => {
    const timer = setInterval(() => setSaid(latest.current), SAY_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = `${standing.short} · health manager`;
  }, [standing.short]);
  return (
    <div class={`headline ${standing.level}`}>
      <span class="light" aria-hidden="true" />
      <h1>{standing.text}</h1>
      <p class="unseen" role="status">
        {said}
      </p>
    </div>
  );
}
