/** The status of the deployment in one sentence: the dashboard, `hm top` and the API show the same. Pure. */
import { coversText } from '../explain/sentences/operator-sentences.ts';
import { countText, formatDuration } from '../explain/wording.ts';
import type { DeaCounts } from '../model/dea-states.ts';
import type { OperatorHold } from '../model/operator-hold.ts';
import type { ProcessKind } from '../model/process-kinds.ts';
import type { HoldName } from '../model/reasons.ts';
import { type UnknownActual, unknownText } from './actual-state.ts';
import { isMissing, kindOf, kindsWithoutNats, missingText, type ProcessesView } from './processes.ts';

export type Level = 'unknown' | 'good' | 'warn' | 'bad';

export interface Status {
  level: Level;
  /** For the title of the browser tab. */
  short: string;
  text: string;
}

/** The wanted slots. `exact`: counted now; else by the latest audits, because very many apps have problems. */
export interface Slots {
  exact: boolean;
  wanted: number;
  /** With a live instance. */
  running: number;
  /** Without one; among them: */
  missing: number;
  flapping: number;
  unplaced: number;
  /** Only if exact. */
  givenUp?: number;
  /** Held back by a hold; and those of them that an operator pauses. Only if exact. */
  held?: number;
  paused?: number;
  /** Besides the missing ones: in their grace period, in which the controller starts them. Only if exact, and if there are any. */
  expected?: number;
}

export interface StatusFacts {
  slots: Slots;
  deas: DeaCounts;
  /** Those that are on. */
  holds: readonly { hold: HoldName; operatorHolds?: readonly OperatorHold[] }[];
  processes: ProcessesView;
  /** Absent: it is known what runs. */
  unknown?: UnknownActual;
  /** Apps that need attention. */
  troubled: number;
}

const number = new Intl.NumberFormat('en');

/** `update_required` is on for single apps; of `operator` the sentence says who paused what. */
const QUIET_HOLDS: readonly HoldName[] = ['update_required', 'operator'];

/** The only copy of a process that restarts is away for a moment. */
const RESTART_MS = 3_000;

/** The kinds of which no copy works, in the order of what it means for apps. */
export function missingKinds({ processes }: Pick<StatusFacts, 'processes'>, nowMs: number): ProcessKind[] {
  const kinds: ProcessKind[] = ['ingest', 'analyzer', 'nudger', 'sync', 'reporter'];
  return kinds.filter((kind) => {
    const found = kindOf(processes, kind);
    return isMissing(found) && nowMs - (found.noneSinceMs ?? 0) >= RESTART_MS;
  });
}

/** What it means that kinds have no working copy, one sentence each without its full stop; a NATS that is away is one cause. */
export function idleTexts(facts: Pick<StatusFacts, 'processes'>, nowMs: number): string[] {
  const { processes } = facts;
  const missing = missingKinds(facts, nowMs);
  const withoutNats = kindsWithoutNats(processes).filter((kind) => missing.includes(kind));
  if (withoutNats.length < 2) return missing.map((kind) => missingText(processes, kind, nowMs));
  const waiting = `${withoutNats.slice(0, -1).join(', ')} and ${withoutNats.at(-1)}`;
  const others = missing.filter((kind) => !withoutNats.includes(kind));
  return [
    `NATS is away: ${waiting} wait for it, so no heartbeat is received, and no start or stop leaves`,
    ...others.map((kind) => missingText(processes, kind, nowMs)),
  ];
}

/** @param nowMs epoch ms on Redis's clock */
export function statusOf(facts: StatusFacts, nowMs: number): Status {
  const { slots, deas, unknown } = facts;
  if (unknown !== undefined)
    return { level: 'unknown', short: 'not known', text: unknownText(unknown, nowMs) };
  const { wanted, missing } = slots;
  const idle = idleTexts(facts, nowMs).map((text) => ` ${text}.`);
  const held = facts.holds.map(({ hold }) => hold).filter((hold) => !QUIET_HOLDS.includes(hold));
  const holds = held.length === 0 ? '' : ` The hold ${held.join(' and ')} is on.`;
  const lost = deas.lost === 0 ? '' : ` ${deaText(deas.lost)} lost.`;
  const pause = pauseText(facts, nowMs);
  const more = `${expectedText(slots)}${holds}${lost}${pause}${idle.join('')}`;
  // What an operator pauses on purpose is no alarm.
  const { paused = 0 } = slots;
  if (missing > paused) {
    const are = missing === 1 ? 'is' : 'are';
    const of = paused === 0 ? '' : `, ${number.format(paused)} of them paused`;
    const text = `${number.format(missing)} of ${number.format(Math.max(wanted, missing))} wanted instances ${are} not running${of}.`;
    return { level: 'bad', short: `${number.format(missing)} missing`, text: `${text}${more}` };
  }
  const waits =
    missing === 0
      ? ''
      : ` ${number.format(missing)} of ${number.format(wanted)} wanted instances ${missing === 1 ? 'does' : 'do'} not run because of it.`;
  const level = idle.length > 0 ? 'bad' : 'warn';
  if (held.length > 0) return { level, short: held.join(', '), text: `${more}${waits}`.trim() };
  if (pause !== '') return { level, short: 'paused', text: `${pause}${waits}${lost}${idle.join('')}`.trim() };
  const all = allText(facts);
  if (idle.length > 0) {
    const short = `no ${missingKinds(facts, nowMs)[0]}`;
    return { level: 'bad', short, text: `${all.text}${lost}${idle.join('')}` };
  }
  return all;
}

/** ` alice paused starts of everything: network maintenance; it ends in 43 min.`; empty if nothing is paused. */
function pauseText({ holds }: StatusFacts, nowMs: number): string {
  const [first, ...others] = holds.flatMap(({ operatorHolds = [] }) => operatorHolds);
  if (first === undefined) return '';
  const left = formatDuration(Math.max(0, Math.ceil((first.untilMs - nowMs) / 1000) * 1000));
  const more =
    others.length === 0 ? '' : ` ${countText(others.length, 'more pause is', 'more pauses are')} on.`;
  return ` ${first.by} paused ${coversText(first)}: ${first.why}; it ends in ${left}.${more}`;
}

/** ` 4 more are expected: the controller has just changed their apps.`; empty if none are. */
function expectedText({ expected = 0 }: Slots): string {
  if (expected === 0) return '';
  return ` ${number.format(expected)} more ${expected === 1 ? 'is' : 'are'} expected: the controller has just changed ${expected === 1 ? 'its app' : 'their apps'}.`;
}

function allText({ slots, deas, troubled }: StatusFacts): Status {
  const { wanted, running, expected = 0 } = slots;
  if (deas.lost > 0) {
    const their = deas.lost === 1 ? 'its' : 'their';
    const text = `${deaText(deas.lost)} lost; all ${their} wanted instances run elsewhere.${expectedText(slots)}`;
    return { level: 'warn', short: 'recovered', text };
  }
  if (troubled > 0) {
    const have = `${countText(troubled, 'app has', 'apps have')} surplus instances`;
    return { level: 'warn', short: 'surplus', text: `All wanted instances run; ${have}.` };
  }
  if (expected > 0) {
    const text = `${number.format(running)} of ${number.format(wanted)} wanted instances run.${expectedText(slots)}`;
    return { level: 'good', short: `${number.format(expected)} expected`, text };
  }
  if (wanted === 0) return { level: 'good', short: 'nothing wanted', text: 'No instances are wanted.' };
  const text =
    wanted === 1 ? 'The one wanted instance runs.' : `All ${number.format(wanted)} wanted instances run.`;
  return { level: 'good', short: 'all run', text };
}

/** `A DEA is`, `2 DEAs are` */
function deaText(count: number): string {
  return count === 1 ? 'A DEA is' : `${number.format(count)} DEAs are`;
}
