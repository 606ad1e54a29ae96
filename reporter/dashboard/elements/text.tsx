/** Small pieces of text: times, countdowns, names. */
import { formatDuration } from '../../../common/explain/wording.ts';
import { hrefOf } from '../route.ts';
import { serverNow, useNow } from './clock.ts';
import { shortened } from './copy.tsx';

const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const dateTime = new Intl.DateTimeFormat(undefined, {
  ...{ dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' },
});

/** A time of day; on another day with the date. */
export function At({ ms }: { ms: number }) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return <>{ms}</>;
  const isToday = date.toDateString() === new Date(serverNow()).toDateString();
  return <time dateTime={date.toISOString()}>{(isToday ? clockTime : dateTime).format(date)}</time>;
}

/** A text of the server, with its time placeholders replaced by times of the browser's time zone. */
export function ServerText({ text }: { text: string }) {
  return <>{text.split('\u0001').map((part, at) => (at % 2 === 0 ? part : <At ms={Number(part)} />))}</>;
}

/** `41 s`, counting up. */
export function Since({ ms }: { ms: number }) {
  return <span class="num">{formatDuration(whole(useNow() - ms))}</span>;
}

/** `in 43 s`, counting down to `now`. */
export function Until({ ms }: { ms: number }) {
  const left = whole(ms - useNow());
  return <span class="num">{left <= 0 ? 'now' : `in ${formatDuration(left)}`}</span>;
}

/** Rounds up to whole seconds, because tenths would flicker. */
function whole(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1000) * 1000);
}

export function DropletLink({ id }: { id: string }) {
  return (
    <a class="id" href={hrefOf('droplet', id)} title={id}>
      {shortened(id)}
    </a>
  );
}

export function DeaLink({ id }: { id: string }) {
  return (
    <a class="id" href={hrefOf('dea', id)} title={id}>
      {shortened(id)}
    </a>
  );
}

const number = new Intl.NumberFormat('en');

export function Num({ of }: { of: number }) {
  return <span class="num">{number.format(of)}</span>;
}
