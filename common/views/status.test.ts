import { describe, expect, test } from 'vitest';
import { PROCESS_KINDS, type ProcessKind } from '../model/process-kinds.ts';
import { unknownActual } from './actual-state.ts';
import { missingText, processesView, versionsText } from './processes.ts';
import { type StatusFacts, statusOf } from './status.ts';

const NOW = 1_400_000_000_000;
const SECOND = 1_000;

type Entry = Parameters<typeof processesView>[0] extends Iterable<infer E> ? E : never;
const entry = (kind: ProcessKind, more: Partial<Entry> = {}): Entry => ({
  ...{ kind, host: 'vm', pid: 1, version: '1.0.0', sinceMs: NOW - 600 * SECOND, seenMs: NOW - SECOND },
  lagMs: 0,
  ...more,
});
const processes = (...changed: Entry[]) =>
  processesView(
    [
      ...PROCESS_KINDS.filter((kind) => !changed.some((one) => one.kind === kind)).map((kind) => entry(kind)),
      ...changed,
    ],
    NOW,
    10 * SECOND,
  );
const facts = (more: Partial<StatusFacts> & { missing?: number } = {}): StatusFacts => {
  const { missing = 0, ...over } = more;
  return {
    slots: { exact: true, wanted: 12, running: 12 - missing, missing, flapping: 0, unplaced: 0 },
    deas: { alive: 3, late: 0, lost: 0, leaving: 0, left: 0 },
    holds: [],
    processes: processes(),
    troubled: missing,
    ...over,
  };
};
const noNats = (kind: ProcessKind, seconds = 9) =>
  entry(kind, { problems: { nats: 'not connected yet' }, problemSinceMs: NOW - seconds * SECOND });

const paused = (pauses = 1) => ({
  hold: 'operator' as const,
  operatorHolds: Array.from({ length: pauses }, (_, n) => ({
    ...{ id: `h${n}`, covers: 'starts' as const, why: 'new switches', by: 'alice' },
    ...{ sinceMs: NOW - 60 * SECOND, untilMs: NOW + 43 * 60 * SECOND },
  })),
});
const withPaused = (missing: number, of: number) => {
  const known = facts({ missing, holds: [paused()] });
  return { ...known, slots: { ...known.slots, held: of, paused: of } };
};

describe('the status in one sentence', () => {
  const deas = { alive: 3, late: 0, lost: 0, leaving: 0, left: 0 };
  test.each<[string, StatusFacts, string, string]>([
    ['all run', facts(), 'good', 'All 12 wanted instances run.'],
    ['missing', facts({ missing: 1 }), 'bad', '1 of 12 wanted instances is not running.'],
    [
      'a lost DEA',
      facts({ deas: { ...deas, lost: 1 } }),
      'warn',
      'A DEA is lost; all its wanted instances run elsewhere.',
    ],
    [
      'in their grace period',
      { ...facts(), slots: { ...facts().slots, running: 8, expected: 4 } },
      'good',
      '8 of 12 wanted instances run. 4 more are expected: the controller has just changed their apps.',
    ],
    [
      'missing, and one in its grace period',
      { ...facts({ missing: 2 }), slots: { ...facts({ missing: 2 }).slots, running: 9, expected: 1 } },
      'bad',
      '2 of 12 wanted instances are not running. 1 more is expected: the controller has just changed its app.',
    ],
    [
      'two lost DEAs',
      facts({ deas: { ...deas, lost: 2 } }),
      'warn',
      '2 DEAs are lost; all their wanted instances run elsewhere.',
    ],
    ['left DEAs', facts({ deas: { ...deas, left: 2, leaving: 1 } }), 'good', 'All 12 wanted instances run.'],
    [
      'a hold',
      facts({ missing: 9, holds: [{ hold: 'mass_loss' }], deas: { ...deas, lost: 3 } }),
      'bad',
      '9 of 12 wanted instances are not running. The hold mass_loss is on. 3 DEAs are lost.',
    ],
    [
      'a hold that keeps nothing from running',
      facts({ holds: [{ hold: 'mass_delete' }] }),
      'warn',
      'The hold mass_delete is on.',
    ],
    [
      'paused on purpose',
      facts({ holds: [paused()] }),
      'warn',
      'alice paused starts of everything: new switches; it ends in 43 min.',
    ],
    [
      'paused, and only that is missing',
      withPaused(3, 3),
      'warn',
      'alice paused starts of everything: new switches; it ends in 43 min. 3 of 12 wanted instances do not run because of it.',
    ],
    [
      'paused, and more is missing',
      withPaused(4, 3),
      'bad',
      '4 of 12 wanted instances are not running, 3 of them paused. alice paused starts of everything: new switches; it ends in 43 min.',
    ],
    [
      'two pauses',
      facts({ holds: [paused(2)] }),
      'warn',
      'alice paused starts of everything: new switches; it ends in 43 min. 1 more pause is on.',
    ],
    [
      'no nudger',
      facts({ processes: processes(entry('nudger', { stoppedMs: NOW - 22 * SECOND })) }),
      'bad',
      'All 12 wanted instances run. No nudger takes jobs: no start leaves, for 22 s (none runs).',
    ],
    [
      'the only nudger restarts',
      facts({ processes: processes(entry('nudger', { stoppedMs: NOW - 2 * SECOND })) }),
      'good',
      'All 12 wanted instances run.',
    ],
    [
      'not known',
      facts({ unknown: { sinceMs: NOW - 13 * SECOND, ranThen: 12, cause: 'NATS is away' } }),
      'unknown',
      'Not known what runs: no heartbeats for 13 s (12 ran then); NATS is away.',
    ],
  ])('%s', (_, given, level, text) => {
    expect(statusOf(given, NOW)).toMatchObject({ level, text });
  });
});

describe('processes', () => {
  test('a process runs while its entry is fresh and it has not ended', () => {
    const view = processes(
      entry('ingest', { pid: 2, sinceMs: NOW - 5 * SECOND, version: '1.1.0' }),
      entry('ingest'),
      entry('ingest', { pid: 3, seenMs: NOW - 11 * SECOND }),
      entry('nudger', { seenMs: NOW - 30 * SECOND }),
    );
    expect(view.running.map(({ kind, pid }) => `${kind} ${pid}`)).toEqual([
      ...['ingest 1', 'ingest 2', 'sync 1', 'analyzer 1', 'reporter 1'],
    ]);
    expect(view.kinds).toContainEqual({ kind: 'ingest', copies: 2, working: 2 });
    expect(view.kinds).toContainEqual({
      ...{ kind: 'nudger', copies: 0, working: 0, noneSinceMs: NOW - 30 * SECOND },
    });
    expect(versionsText(view)).toBe('1.0.0 and 1.1.0 run side by side');
    expect(versionsText(processes())).toBe('');
  });

  test('a copy that waits for NATS does not work; the text names the cause', () => {
    expect(missingText(processes(noNats('nudger')), 'nudger', NOW)).toBe(
      'No nudger takes jobs: no start leaves, for 9 s (NATS: not connected yet)',
    );
    expect(missingText(processes(noNats('nudger'), entry('nudger')), 'nudger', NOW)).toBe('');
  });

  test('NATS away is one cause, told once', () => {
    const view = processes(noNats('ingest'), noNats('nudger'), noNats('sync'), noNats('reporter'));
    expect(statusOf(facts({ processes: view }), NOW).text).toBe(
      'All 12 wanted instances run. NATS is away: ingest, sync, nudger and reporter wait for it, so no heartbeat is received, and no start or stop leaves.',
    );
  });
});

describe('whether it is known what runs', () => {
  const settings = { dropletLostMs: 30 * SECOND };
  const unknown = (more: Partial<Parameters<typeof unknownActual>[0]>) =>
    unknownActual(
      {
        ...{ nowMs: NOW, actualNotFresh: false, processes: processes(), running: 12 },
        listening: { sinceMs: NOW - 600 * SECOND, untilMs: NOW },
        lowestWatermarkMs: NOW,
        ...more,
      },
      settings,
    );

  test('known while heartbeats are stored', () => {
    expect(unknown({})).toBeUndefined();
    // A late watermark of a working ingestor is no outage yet.
    expect(unknown({ lowestWatermarkMs: NOW - 9 * SECOND })).toBeUndefined();
  });

  test('not known within seconds when no ingestor is connected to NATS', () => {
    const away = { processes: processes(noNats('ingest')), lowestWatermarkMs: NOW - 4 * SECOND };
    expect(unknown(away)).toEqual({ sinceMs: NOW - 4 * SECOND, ranThen: 12, cause: 'NATS is away' });
  });

  test.each([
    ['no ingest process runs', processes(entry('ingest', { stoppedMs: NOW - 20 * SECOND }))],
    ['the ingestors store no heartbeats', processes()],
  ])('%s', (cause, view) => {
    const found = unknown({ actualNotFresh: true, lowestWatermarkMs: NOW - 20 * SECOND, processes: view });
    expect(found).toEqual({ sinceMs: NOW - 20 * SECOND, ranThen: 12, cause });
  });

  test('heartbeats are received again: not known until every DEA can have been heard', () => {
    const again = { actualNotFresh: true, listening: { sinceMs: NOW - 4 * SECOND, untilMs: NOW } };
    expect(unknown(again)).toMatchObject({
      ...{ againSinceMs: NOW - 4 * SECOND, knownAtMs: NOW + 26 * SECOND, ranThen: 12 },
    });
    expect(statusOf(facts({ unknown: unknown(again) as never }), NOW).text).toBe(
      'Not known yet what runs (12 ran then): heartbeats are received again for 4 s, known in 26 s; every DEA must send a heartbeat first.',
    );
  });

  test('nothing was ever received', () => {
    expect(unknown({ actualNotFresh: true, listening: undefined })).toEqual({
      cause: 'no heartbeat was received yet',
    });
  });
});
