/** What an operator pauses and retries. */
import { describe, expect, it } from 'vitest';
import type { Droplet, Holds } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  operatorHold,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { applyDecision } from '../simulation/fixtures.ts';

const answers = (d: Droplet, on: Partial<Holds> = {}, nowMs = NOW) =>
  decide(d, deas(), holds(on), nowMs, SETTINGS).decisions.map((x) =>
    [x.kind, 'reason' in x ? x.reason : '', x.kind === 'held' ? x.hold : ''].join(' ').trim(),
  );
const paused = (over: Parameters<typeof operatorHold>[0] = {}) => ({ operatorHolds: [operatorHold(over)] });

describe('a pause holds back every reason', () => {
  const flapping = slot({ crashes: 2, lastCrashMs: NOW - 90 * SECOND, flapping: true });
  it.each<[string, Droplet, start: string]>([
    ['missing', droplet(), 'missing'],
    ['crashed', droplet({ exits: [exit('a')] }), 'crashed'],
    ['evacuated', droplet({ instances: [instance('a', { state: 'EVACUATING' })] }), 'evacuated'],
    ['flapping', droplet({ exits: [exit('a', { atMs: NOW - SECOND })], slots: [flapping] }), 'flapping'],
  ])('a start: %s', (_, d, reason) => {
    expect(answers(d)).toEqual([`start ${reason}`]);
    expect(answers(d, paused())).toEqual([`held ${reason} operator`]);
    expect(answers(d, paused({ covers: 'starts', droplet: 'droplet-1' }))).toEqual([
      `held ${reason} operator`,
    ]);
    expect(answers(d, paused({ covers: 'stops' }))).toEqual([`start ${reason}`]);
    expect(answers(d, paused({ droplet: 'other' }))).toEqual([`start ${reason}`]);
  });

  it.each<[string, Droplet]>([
    ['stopped', droplet({ desired: desired({ state: 'STOPPED' }), instances: [instance('a')] })],
    ['extra_index', droplet({ instances: [instance('a'), instance('b', { index: 1 })] })],
    ['duplicate', droplet({ instances: [instance('a'), instance('b')] })],
    ['wrong_version', droplet({ instances: [instance('a'), instance('b', { version: 'v0' })] })],
    ['extra_app', droplet({ goneMs: NOW - 3600 * SECOND, instances: [instance('a')] })],
  ])('a stop: %s', (reason, d) => {
    expect(answers(d)).toEqual([`stop ${reason}`]);
    expect(answers(d, paused())).toEqual([`held ${reason} operator`]);
    expect(answers(d, paused({ covers: 'stops', dea: 'dea-1' }))).toEqual([`held ${reason} operator`]);
    expect(answers(d, paused({ covers: 'starts' }))).toEqual([`stop ${reason}`]);
    expect(answers(d, paused({ dea: 'dea-2' }))).toEqual([`stop ${reason}`]);
  });
});

it('the decision names the hold, is made once, and is reconciled when the hold ends', () => {
  const on = paused({ untilMs: NOW + 5 * SECOND });
  const result = decide(droplet(), deas(), holds(on), NOW, SETTINGS);
  expect(result.decisions).toMatchObject([{ kind: 'held', hold: 'operator', operatorHold: { by: 'alice' } }]);
  expect(result.requeueAtMs).toBe(NOW + 5 * SECOND);
  const later = applyDecision(droplet(), result);
  expect(answers(later, on, NOW + SECOND)).toEqual([]);
  expect(answers(later, {}, NOW + 5 * SECOND)).toEqual(['start missing']);
});

it('a crash keeps its reason until the pause is over', () => {
  const d = droplet({ exits: [exit('a')] });
  const held = applyDecision(d, decide(d, deas(), holds(paused()), NOW, SETTINGS));
  expect(answers(held, {}, NOW + 9 * SECOND)).toEqual(['start crashed']);
});

it.each(['crashed', 'evacuated', 'flapping'] as const)(
  'a waiting start that a pause dropped keeps its reason: %s',
  (reason) => {
    const start = { id: 's1', reason, priority: 'low', decidedMs: NOW - SECOND } as const;
    const d = droplet({
      firstSeenMs: NOW - 2 * SECOND, // in its grace period, so nothing is missing yet
      slots: [
        slot({
          start,
          ...(reason === 'flapping' && { flapping: true, crashes: 2, lastCrashMs: NOW - 300 * SECOND }),
        }),
      ],
      outcomes: [{ id: 's1', outcome: 'dropped', atMs: NOW, why: 'held:operator' }],
    });
    expect(answers(d, paused())).toEqual([`held ${reason} operator`]);
    const held = applyDecision(d, decide(d, deas(), holds(paused()), NOW, SETTINGS));
    expect(answers(held, {}, NOW + SECOND)).toEqual([`start ${reason}`]);
  },
);

describe('a pause of a DEA', () => {
  const lost = droplet({ instances: [instance('a', { dea: 'dea-7' })] });
  const silent = { 'dea-7': { lastHeartbeatMs: NOW - LOST - SECOND } };
  const decided = (d: Droplet, on: Partial<Holds>, nowMs: number, liveness = deas(silent)) =>
    decide(d, liveness, holds({ ...on, massLossEvaluated: { sinceMs: 0, untilMs: nowMs } }), nowMs, SETTINGS);

  it('keeps its instances from being started elsewhere, and no others', () => {
    const kinds = (on: Partial<Holds>) => decided(lost, on, NOW).decisions.map(({ kind }) => kind);
    expect(kinds({})).toEqual(['start']);
    expect(kinds(paused({ dea: 'dea-7' }))).toEqual(['held']);
    expect(kinds(paused({ dea: 'dea-6' }))).toEqual(['start']);
  });

  it('also after the DEA has expired: the lost instance stays in the record as long as the pause is on', () => {
    const on = paused({ dea: 'dea-7', untilMs: NOW + 24 * 3600 * SECOND });
    let record = lost;
    for (let hours = 0; hours < 3; hours++) {
      const nowMs = NOW + hours * 3600 * SECOND;
      const result = decided(record, on, nowMs, deas());
      expect(result.instancesToForget).toEqual([]);
      expect(result.decisions.filter(({ kind }) => kind === 'start')).toEqual([]);
      record = applyDecision(record, result);
    }
    expect(decided(record, {}, NOW + 3 * 3600 * SECOND, deas()).decisions).toMatchObject([{ kind: 'start' }]);
  });
});

describe('a retry', () => {
  const retries = new Map([[0, NOW - SECOND]]);
  const givenUp = slot({ crashes: 5, lastCrashMs: NOW - SECOND, flapping: true });

  it('of a given-up slot starts it at once, and is handled once', () => {
    expect(answers(droplet({ slots: [givenUp] }))).toEqual([]);
    const d = droplet({ slots: [givenUp], retries });
    const result = decide(d, deas(), holds(), NOW, SETTINGS);
    expect(result.decisions).toMatchObject([{ kind: 'start', reason: 'missing', priority: 'normal' }]);
    expect(result.retriesToForget).toEqual([0]);
    expect(result.slots.get(0)).toMatchObject({ crashes: 0, flapping: false });
  });

  it('of an unplaced slot starts it before the others that had no effect', () => {
    const unplaced = slot({ attempts: 4, retryMs: NOW + 400 * SECOND });
    expect(answers(droplet({ slots: [unplaced] }))).toEqual([]);
    const result = decide(droplet({ slots: [unplaced], retries }), deas(), holds(), NOW, SETTINGS);
    expect(result.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
    expect(result.decisions[0]).not.toHaveProperty('attempts');
  });

  it('replaces a restart that waits', () => {
    const start = {
      id: 's1',
      reason: 'flapping',
      priority: 'high',
      decidedMs: NOW,
      dueMs: NOW + 99 * SECOND,
    } as const;
    const d = droplet({ slots: [{ ...givenUp, crashes: 3, start }], retries });
    expect(decide(d, deas(), holds(), NOW, SETTINGS).decisions).toMatchObject([
      { kind: 'cancel', id: 's1', why: 'retried' },
      { kind: 'start', reason: 'missing' },
    ]);
  });

  it('leaves the other slots as they are, and a healthy one is only forgotten', () => {
    const two = droplet({
      desired: desired({ instances: 2 }),
      slots: [givenUp, { ...givenUp, index: 1 }],
      retries,
    });
    expect(answers(two)).toEqual(['start missing']);
    const healthy = decide(droplet({ instances: [instance('a')], retries }), deas(), holds(), NOW, SETTINGS);
    expect(healthy).toMatchObject({ decisions: [], retriesToForget: [0], changed: true });
  });

  it('waits for a pause', () => {
    expect(answers(droplet({ slots: [givenUp], retries }), paused())).toEqual(['held missing operator']);
  });
});
