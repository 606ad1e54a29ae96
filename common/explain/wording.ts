/** Text for people: times, durations, counts, reasons. Pure. */
import type { DropReason, HoldName, StopReason } from '../model/reasons.ts';

/** A duration: `0.4 s`, `118 s`, `12 min`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${Math.round(s * 10) / 10} s`;
  if (s < 600) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return twoUnits(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return twoUnits(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function twoUnits(large: number, unit: string, small: number, smallUnit: string): string {
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

/** `exit status 137, out of memory`; empty if neither is known */
export function exitCauseText(status: number | undefined, description: string | undefined): string {
  const parts = [
    ...(status === undefined ? [] : [`exit status ${status}`]),
    ...(description ? [description] : []),
  ];
  return parts.join(', ');
}

/** `0 to 3, 5 and 7`; sorted */
export function indicesText(indices: readonly number[]): string {
  const runs: [first: number, last: number][] = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === index - 1) run[1] = index;
    else runs.push([index, index]);
  }
  const parts = runs.flatMap(([first, last]) =>
    last - first > 1 ? [`${first} to ${last}`] : first === last ? [`${first}`] : [`${first}`, `${last}`],
  );
  return parts.length === 1 ? parts.join() : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** Formats times of day in the reader's time zone. */
export interface Times {
  /** `15:14:56`; on another day with its date. */
  at(ms: number): string;
}

/** @param utc false: in the time zone of this process */
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

/** Why each hold is on. */
export const HOLD_TEXT: Readonly<Record<HoldName, string>> = {
  desired_unavailable: 'no bulk pass has completed for too long, so the desired state is not known',
  update_required: 'the controller changed the app, and no bulk pass has read the change yet',
  actual_not_fresh: 'no ingestor has been subscribed for long enough to know what runs',
  mass_loss: 'too many DEAs went silent at once; a network failure is more likely than dead hosts',
  mass_delete:
    "too many apps left the desired state at once; a failure of the controller's database is more likely than deleted apps",
  operator: 'an operator paused it',
};

/** As `HOLD_TEXT`, with numbers where they are known. */
export function holdText(
  hold: HoldName,
  deas: { silent: number | undefined; all: number },
  takenOver?: { ingestor: string; host: string; pid: number },
): string {
  if (hold === 'actual_not_fresh' && takenOver !== undefined) {
    const { ingestor, host, pid } = takenOver;
    return `an ingestor stood still (${ingestor}, host ${host}, pid ${pid}); the others have taken over its messages, and wait for a heartbeat of every DEA`;
  }
  if (hold !== 'mass_loss' || deas.silent === undefined) return HOLD_TEXT[hold];
  return `${deas.silent} of ${countText(deas.all, 'DEA')} went silent at once; a network failure is more likely than dead hosts`;
}

export const STOP_TEXT: Readonly<Record<StopReason, string>> = {
  stopped: 'the app is stopped',
  extra_index: 'the app wants fewer instances',
  wrong_version: 'it is not of the live version',
  duplicate: 'the index runs more than once',
  evacuation_complete: 'it is evacuated, and its slot is filled or no longer wanted',
  extra_app: 'the controller no longer lists the app',
};

const DROP_TEXT: Readonly<Record<Exclude<DropReason, `held:${HoldName}`>, string>> = {
  superseded: 'another decision replaced it',
  done: 'it was already done',
  live: 'the index has a live instance',
  not_wanted: 'it is no longer wanted',
  given_up: 'it crashed too often',
  probing: 'all its instances have crashed, and only index 0 is restarted at first',
  updated: 'the controller changed the app',
  retried: 'an operator asked for another try',
  in_grace_period: 'the index is in a new grace period',
  gone: 'the instance no longer runs',
  not_surplus: 'the instance is no longer surplus',
  refused: 'the controller would refuse it now',
  late: 'the nudger was suspended just before sending it',
};

/** Why a decision was cancelled or dropped. */
export function dropText(why: string | undefined): string {
  if (why === undefined) return 'no reason is known';
  if (why.startsWith('held:')) return `hold ${why.slice(5)}`;
  return Object.hasOwn(DROP_TEXT, why) ? DROP_TEXT[why as keyof typeof DROP_TEXT] : why;
}
