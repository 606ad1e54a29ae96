/** The status of the deployment in one sentence. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatDuration } from '../../../common/explain/wording.ts';
import type { TroubledUpdate } from '../../api/types.ts';
import { useNow } from '../elements/clock.ts';
import type { Live } from '../live.ts';

export type Level = 'unknown' | 'good' | 'warn' | 'bad';

export interface Status {
  level: Level;
  /** For the title of the browser tab. */
  short: string;
  text: string;
}

const number = new Intl.NumberFormat('en');

/** Missing instances: exact if all troubled droplets are in the list, else as counted by the latest audits. */
export function missingNow({ fleet, troubled }: Pick<Live, 'fleet' | 'troubled'>): number {
  if (troubled !== undefined && troubled.count <= troubled.droplets.length) return sumMissing(troubled);
  return fleet?.totals.missing ?? 0;
}

function sumMissing({ droplets }: TroubledUpdate): number {
  return droplets.reduce((sum, { missing }) => sum + missing, 0);
}

/** @param nowMs epoch ms on Redis's clock */
export function statusOf(live: Live, nowMs: number): Status {
  const { connection, unavailable, fleet, silent, troubled } = live;
  if (unavailable !== undefined) {
    return { level: 'unknown', short: 'no data', text: `${unavailable}${ageText(live, nowMs)}.` };
  }
  if (connection === 'lost') {
    const text = `The connection to the reporter is lost${ageText(live, nowMs)}. Connecting again.`;
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
    const are = missing === 1 ? 'is' : 'are';
    const text = `${number.format(missing)} of ${number.format(Math.max(wanted, missing))} wanted instances ${are} not running.${holds}`;
    return { level: 'bad', short: `${number.format(missing)} missing`, text };
  }
  if (held.length > 0) return { level: 'bad', short: held.join(', '), text: holds.trim() };
  if (lost > 0) {
    const deas = lost === 1 ? 'A DEA is lost; all its' : `${lost} DEAs are lost; all their`;
    return { level: 'warn', short: 'recovered', text: `${deas} wanted instances run elsewhere.` };
  }
  if (troubled.count > 0) {
    const apps = troubled.count === 1 ? 'app has' : 'apps have';
    const text = `All wanted instances run; ${troubled.count} ${apps} surplus instances.`;
    return { level: 'warn', short: 'surplus', text };
  }
  if (wanted === 0) return { level: 'good', short: 'nothing wanted', text: 'No instances are wanted.' };
  const all =
    wanted === 1 ? 'The one wanted instance runs.' : `All ${number.format(wanted)} wanted instances run.`;
  return { level: 'good', short: 'all run', text: all };
}

function ageText({ asOfMs }: Live, nowMs: number): string {
  if (asOfMs === undefined) return '';
  const ageMs = Math.max(0, Math.ceil((nowMs - asOfMs) / 1000) * 1000);
  return `; the figures are ${formatDuration(ageMs)} old`;
}

/** Screen readers announce a change at most this often. */
const ANNOUNCE_EVERY_MS = 5_000;

export function Headline({ live }: { live: Live }) {
  const status = statusOf(live, useNow());
  const [announced, setAnnounced] = useState('');
  const latest = useRef(status.text);
  latest.current = status.text;
  useEffect(() => {
    const timer = setInterval(() => setAnnounced(latest.current), ANNOUNCE_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = `${status.short} · health manager`;
  }, [status.short]);
  return (
    <div class={`headline ${status.level}`}>
      <span class="light" aria-hidden="true" />
      <h1>{status.text}</h1>
      <p class="unseen" role="status">
        {announced}
      </p>
    </div>
  );
}
