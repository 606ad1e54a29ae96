/** The status of the deployment in one sentence. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatDuration } from '../../../common/explain/wording.ts';
import { type Status, statusOf } from '../../../common/views/status.ts';
import { useNow } from '../elements/clock.ts';
import type { Live } from '../live.ts';

/** @param nowMs epoch ms on Redis's clock */
export function statusOfLive(live: Live, nowMs: number): Status {
  const { connection, unavailable, fleet } = live;
  if (unavailable !== undefined) {
    return { level: 'unknown', short: 'no data', text: `${unavailable}${ageText(live, nowMs)}.` };
  }
  if (connection === 'lost') {
    const text = `The connection to the reporter is lost${ageText(live, nowMs)}. Connecting again.`;
    return { level: 'unknown', short: 'not connected', text };
  }
  if (fleet === undefined)
    return { level: 'unknown', short: 'connecting', text: 'Connecting to the reporter.' };
  return statusOf(fleet, nowMs);
}

function ageText({ asOfMs }: Live, nowMs: number): string {
  if (asOfMs === undefined) return '';
  const ageMs = Math.max(0, Math.ceil((nowMs - asOfMs) / 1000) * 1000);
  return `; the figures are ${formatDuration(ageMs)} old`;
}

/** Screen readers announce a change at most this often. */
const ANNOUNCE_EVERY_MS = 5_000;

/** @param page what the tab of the browser names besides the status */
export function Headline({ live, page }: { live: Live; page: string }) {
  const status = statusOfLive(live, useNow());
  const [announced, setAnnounced] = useState('');
  const latest = useRef(status.text);
  latest.current = status.text;
  useEffect(() => {
    const timer = setInterval(() => setAnnounced(latest.current), ANNOUNCE_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = [page, status.short, 'health manager'].filter(Boolean).join(' · ');
  }, [page, status.short]);
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
