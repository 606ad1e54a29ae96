/** The head of the live screen: status, fleet, holds, queues, rates. Pure. */
import { operatorHoldLine } from '../../../../common/explain/sentences/operator-sentences.ts';
import { countText, formatDuration, holdText, type Times } from '../../../../common/explain/wording.ts';
import { expectedDeas } from '../../../../common/model/dea-states.ts';
import type { CounterName } from '../../../../common/redis/fleet/counters.ts';
import { versionsText } from '../../../../common/views/processes.ts';
import type { Level } from '../../../../common/views/status.ts';
import { BOLD, DIM, GREEN, type Piece, padCells, paint, RED, wrap, YELLOW } from '../../terminal/screen.ts';
import { DRY_RUN, endOf } from '../query/droplet-text.ts';
import type { Figures } from './figures.ts';

/** Labels of the counters. */
const RATE_NAMES: Readonly<Record<CounterName, string>> = {
  heartbeat_msgs_received: 'heartbeats',
  droplet_exited_msgs_received: 'exits',
  droplet_updated_msgs_received: 'updates',
  healthmanager_status_msgs_received: 'status queries',
  healthmanager_health_request_msgs_received: 'health queries',
  healthmanager_droplet_request_msgs_received: 'droplet queries',
  health_start_messages_sent: 'starts sent',
  health_stop_messages_sent: 'stops sent',
};

interface HeadOptions {
  /** Leaves out the table of queues and rates. */
  isShort: boolean;
  /** Why the figures are outdated. */
  problem: string | undefined;
  /** Of the terminal; absent: no limit. */
  columns: number | undefined;
}

export function headLines(
  figures: Figures,
  times: Times,
  { isShort, problem, columns }: HeadOptions,
): Piece[][] {
  return [
    [
      paint(BOLD, `Health manager at ${times.at(figures.fleet.nowMs)}`),
      ...(problem === undefined ? [] : [paint(RED, `   ${problem}`)]),
    ],
    ...wrap(figures.status.text, columns).map((text) => [paint(LEVEL_COLOURS[figures.status.level], text)]),
    ...(figures.dryRun ? [[paint(YELLOW, DRY_RUN)]] : []),
    ...(isShort ? [] : [[]]),
    ...fleetLines(figures),
    ...holdLines(figures, times),
    ...(isShort ? queueLine(figures) : [[], ...queuesAndRates(figures)]),
    [],
  ];
}

/** What waits in the queues, in one line. */
function queueLine({ fleet, rates }: Figures): Piece[][] {
  const { starts, restarts, stops } = fleet.queues;
  const heartbeats = rates === undefined ? '' : `; ${rates.heartbeat_msgs_received.toFixed(1)} heartbeats/s`;
  const text = `${countText(starts.waiting, 'start')} and ${countText(stops.waiting, 'stop')} waiting, ${countText(restarts.delayed, 'restart')} due later`;
  return [[padCells(['queues', 15]), `${text}${heartbeats}`]];
}

const LEVEL_COLOURS: Readonly<Record<Level, string>> = { unknown: DIM, good: GREEN, warn: YELLOW, bad: RED };

function fleetLines({ fleet }: Figures): Piece[][] {
  const { totals, sync, nowMs } = fleet;
  const synced =
    sync.succeededMs === undefined
      ? paint(RED, 'not read yet')
      : `read ${formatDuration(nowMs - sync.succeededMs)} ago in ${formatDuration(sync.durationMs ?? 0)}, ${countText(sync.listed ?? 0, 'droplet')}`;
  return [
    [
      padCells(['fleet', 15]),
      `${countText(totals.apps, 'droplet')}, ${totals.started_apps} started; `,
      ...slotPieces(fleet),
    ],
    [padCells(['DEAs', 15]), ...deaPieces(fleet)],
    [padCells(['desired state', 15]), synced],
    [padCells(['processes', 15]), ...processPieces(fleet)],
  ];
}

function problemCount(number: number, label: string): Piece {
  const text = `${number} ${label}`;
  return number > 0 ? paint(RED, text) : text;
}

function slotPieces({ slots, totals, unknown, auditMs }: Figures['fleet']): Piece[] {
  if (unknown !== undefined) {
    const ran = unknown.ranThen === undefined ? '' : ` (${unknown.ranThen} ran when last known)`;
    return [paint(DIM, `not known what runs${ran}`)];
  }
  const { running, wanted, missing, flapping, unplaced, givenUp = 0, held = 0, expected = 0, exact } = slots;
  return [
    paint(missing === 0 ? GREEN : YELLOW, `${running} of ${wanted} instances run`),
    ...(expected > 0 ? [`, ${expected} expected`] : []),
    ', ',
    problemCount(missing, 'missing'),
    ', ',
    problemCount(flapping, 'flapping'),
    ...(givenUp > 0 ? [', ', problemCount(givenUp, 'given up')] : []),
    ...(unplaced > 0 ? [', ', problemCount(unplaced, 'unplaced')] : []),
    ...(held > 0 ? [`, ${held} held back`] : []),
    `, ${countText(totals.crashed, 'crash record')}`,
    ...(exact ? [] : [` (counted by the audit, in ${formatDuration(auditMs)})`]),
  ];
}

function deaPieces({ deas, unknown }: Figures['fleet']): Piece[] {
  if (unknown !== undefined)
    return [paint(DIM, `${countText(expectedDeas(deas), 'DEA')}, not known which are alive`)];
  return [
    paint(GREEN, `${deas.alive} alive`),
    ', ',
    deas.late > 0 ? paint(YELLOW, `${deas.late} late`) : '0 late',
    ', ',
    problemCount(deas.lost, 'lost'),
    ...(deas.leaving > 0 ? [`, ${deas.leaving} leaving`] : []),
    ...(deas.left > 0 ? [paint(DIM, `, ${deas.left} left`)] : []),
  ];
}

function processPieces({ processes, nowMs }: Figures['fleet']): Piece[] {
  const differ = versionsText(processes);
  const kinds = processes.kinds.flatMap(({ kind, copies, working, noneSinceMs }, at): Piece[] => {
    const age = noneSinceMs === undefined ? '' : ` for ${formatDuration(nowMs - noneSinceMs)}`;
    const text = working > 0 ? `${kind} ${working}` : `${kind} ${copies === 0 ? 'none' : 'waits'}${age}`;
    return [...(at === 0 ? [] : [', ']), working > 0 ? text : paint(RED, text)];
  });
  return differ === '' ? kinds : [...kinds, '; ', paint(YELLOW, differ)];
}

function holdLines({ fleet }: Figures, times: Times): Piece[][] {
  const { deas } = fleet;
  const on = fleet.holds.filter((hold) => hold.on);
  if (on.length === 0) return [[padCells(['holds', 15]), 'none']];
  return on
    .map(({ hold, sinceMs, droplets, silentDeas, takenOver }, at): Piece[] => [
      padCells([at === 0 ? 'holds' : '', 15]),
      paint(hold === 'operator' ? YELLOW : RED, hold),
      `${sinceMs === undefined ? '' : ` since ${times.at(sinceMs)}`}, ${countText(droplets, 'droplet')}: ${holdText(hold, { silent: silentDeas, all: expectedDeas(deas) }, takenOver)}${endOf(hold)}`,
    ])
    .concat(operatorLines(fleet, times));
}

/** What operators pause, a line each. */
function operatorLines({ holds }: Figures['fleet'], times: Times): Piece[][] {
  return holds.flatMap(({ operatorHolds = [] }) =>
    operatorHolds.map((hold): Piece[] => [padCells(['', 15]), operatorHoldLine(hold, times)]),
  );
}

function queuesAndRates({ fleet, rates }: Figures): Piece[][] {
  const queues = Object.entries(fleet.queues).map(([name, { waiting, delayed }]): Piece[] => [
    padCells([name, 12], [waiting, 8], [delayed, 8]),
  ]);
  const names = Object.entries(RATE_NAMES) as [CounterName, string][];
  const shown = (name: CounterName) => (rates === undefined ? '-' : rates[name].toFixed(1));
  // Two rates on a line, beside the queues and below them.
  const rateLines = Array.from({ length: Math.ceil(names.length / 2) }, (_, line): Piece[] => [
    names
      .slice(line * 2, line * 2 + 2)
      .map(([name, label]) => padCells([label, 16], [shown(name), 10]))
      .join(''),
  ]);
  const left: Piece[][] = [[paint(BOLD, padCells(['QUEUE', 12], ['WAITING', 8], ['DELAYED', 8]))], ...queues];
  const right: Piece[][] = [[paint(BOLD, 'MESSAGES PER SECOND')], ...rateLines];
  return Array.from({ length: Math.max(left.length, right.length) }, (_, line) => [
    ...(left[line] ?? [padCells(['', 30])]),
    '   ',
    ...(right[line] ?? []),
  ]);
}
