/** Words for a person: times, durations, counts, reasons. Pure. */
import type { DropReason, HoldName, StopReason } from '../model/reasons.ts';

/** How long, as one says it: `0.4 s`, `118 s`, `12 min`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${Math.round(s * 10) / 10} s`;
  if (s < 600) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return both(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return both(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function both(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;
}

export function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  const end = teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${end}`;
}

export function countText(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** `0 to 3, 5 and 7`; sorted */
export function indicesText(indices: readonly number[]): string {
  const runs: [first: number, last: number][] = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === index - 1) run[1] = index;
    else runs.push([index, index]);
  }
  const words = runs.flatMap(([first, last]) =>
    last - first > 1 ? [`${first} to ${last}`] : first === last ? [`${first}`] : [`${first}`, `${last}`],
  );
  return words.length === 1 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** Says times as the reader has them. */
export interface Times {
  /** `15:14:56`, with the date where it is not today. */
  at(ms: number): string;
}

/** @param utc else in the time zone of this process */
export function timesOf(nowMs: number, utc: boolean): Times {
  const parts = (ms: number): [date: string, time: string] => {
    const date = new Date(ms);
    const local = utc ? date : new Date(ms - date.getTimezoneOffset() * 60_000);
    const [day = '', time = ''] = local.toISOString().split('T');
    return [day, time.slice(0, 8)];
  };
  const [today] = parts(nowMs);
  return {
    at(ms) {
      const [day, time] = parts(ms);
      return day === today ? time : `${day} ${time}`;
    },
  };
}

/** What each hold means for a droplet that it covers. */
export const HOLD_TEXT: Readonly<Record<HoldName, string>> = {
  desired_unavailable: 'no complete bulk pass for too long, so it is not known what should run',
  update_required: 'the controller changed the app, and the bulk pass that says how has not come yet',
  actual_not_fresh: 'nobody has listened to heartbeats for long enough to know what runs',
  mass_loss:
    'so many DEAs fell silent at once that a cut-off network is more likely, or it is not judged yet whether they did',
  mass_delete: 'so many droplets left the desired state at once that a broken database is more likely',
};

export const STOP_TEXT: Readonly<Record<StopReason, string>> = {
  stopped: 'the app is stopped',
  extra_index: 'the app wants fewer instances',
  wrong_version: 'it is not of the live version',
  duplicate: 'the index runs more than once',
  evacuation_complete: 'it is evacuated, and its place is filled or not wanted any more',
  extra_app: 'the controller does not list the app any more',
};

const DROP_TEXT: Readonly<Record<Exclude<DropReason, `held:${HoldName}`>, string>> = {
  superseded: 'another decision took its place',
  done: 'it was done already',
  live: 'the index has a live instance',
  not_wanted: 'it is not wanted any more',
  given_up: 'it crashed too often',
  updated: 'the controller changed the app',
  in_grace_period: 'the index was given new time',
  gone: 'the instance does not run any more',
  not_surplus: 'the instance is not surplus any more',
  refused: 'the controller would refuse it as things are',
  late: 'its process stood still just before sending it',
};

/** Why a decision was taken back or not sent. */
export function dropText(why: string | undefined): string {
  if (why === undefined) return 'no reason is known';
  if (why.startsWith('held:')) return `hold ${why.slice(5)}`;
  return Object.hasOwn(DROP_TEXT, why) ? DROP_TEXT[why as keyof typeof DROP_TEXT] : why;
}
