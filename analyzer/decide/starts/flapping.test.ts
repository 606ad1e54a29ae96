import { describe, expect, it } from 'vitest';
import type { Droplet, Outcome } from '../../../common/model/droplet.ts';
import type { PolicySettings } from '../../../common/policy/settings.ts';
import { restartDueMs } from '../../../common/policy/slots/flapping.ts';
import {
  desired,
  droplet,
  exit,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { applyDecision } from '../simulation/fixtures.ts';
import { evaluate, flapping, pending, TIMEOUT } from '../simulation/flapping.ts';

/** Processes crashes at these seconds after NOW, each at once. Returns the decisions for each. */
function crashAt(
  seconds: number[],
  settings: PolicySettings = SETTINGS,
): { answers: string[]; droplet: Droplet } {
  let d = droplet();
  const answers: string[] = [];
  seconds.forEach((s, at) => {
    const nowMs = NOW + s * SECOND;
    d = { ...d, exits: [...d.exits, exit(`i${at}`, { atMs: nowMs, crashTimestampS: nowMs / 1000 })] };
    const decided = evaluate(d, nowMs, settings);
    answers.push(
      decided.decisions
        .map((x) =>
          x.kind === 'start'
            ? `${x.reason}${x.dueMs ? ` +${Math.round((x.dueMs - nowMs) / 100) / 10}` : ''}`
            : x.kind,
        )
        .join(),
    );
    d = applyDecision(d, decided);
    // The start is sent, so that the next crash is that of the started instance.
    const start = d.slots.get(0)?.start;
    const outcome: Outcome | undefined = start && { id: start.id, outcome: 'sent', atMs: nowMs + 1 };
    if (outcome) d = { ...d, outcomes: new Map([[outcome.id, outcome]]) };
  });
  return { answers, droplet: d };
}

const QUIET = { ...SETTINGS, delayTimeNoiseMs: 0 };

describe('the delay', () => {
  it('defaults: at once, 60 s, 120 s, 240 s, then given up', () => {
    expect(crashAt([0, 10, 80, 210, 460], QUIET).answers).toEqual([
      'crashed',
      'flapping +60',
      'flapping +120',
      'flapping +240',
      'giveup',
    ]);
  });

  it('never above max_restart_delay', () => {
    const settings = { ...QUIET, maxRestartDelayMs: 100 * SECOND, giveupCrashNumber: 0 };
    expect(crashAt([0, 1, 2, 3, 4, 5], settings).answers.slice(2)).toEqual(Array(4).fill('flapping +100'));
  });

  it('never gives up with giveup_crash_number 0 or below', () => {
    for (const giveupCrashNumber of [0, -1]) {
      const { answers } = crashAt([0, 1, 2, 3, 4, 5, 6], { ...QUIET, giveupCrashNumber });
      expect(answers).not.toContain('giveup');
      expect(answers.at(-1)).toBe('flapping +480');
    }
  });

  it('noise: at most delay_time_noise either way, constant for a crash, different for each crash, never below 0', () => {
    const dues = Array.from({ length: 200 }, (_, i) => {
      const s = flapping({ lastCrashMs: NOW + i });
      const due = restartDueMs('d', s, SETTINGS);
      expect(restartDueMs('d', s, SETTINGS)).toBe(due);
      return due - (NOW + i);
    });
    expect(Math.min(...dues)).toBeGreaterThanOrEqual(55 * SECOND);
    expect(Math.max(...dues)).toBeLessThanOrEqual(65 * SECOND);
    expect(Math.min(...dues)).toBeLessThan(57 * SECOND);
    expect(Math.max(...dues)).toBeGreaterThan(63 * SECOND);
    const noisy = { ...SETTINGS, minRestartDelayMs: SECOND, delayTimeNoiseMs: 1000 * SECOND };
    for (let i = 0; i < 50; i++) {
      expect(restartDueMs('d', flapping({ lastCrashMs: NOW + i }), noisy)).toBeGreaterThanOrEqual(NOW + i);
    }
  });
});

describe('a pending restart', () => {
  const d = () => droplet({ slots: [flapping({ start: pending() })] });

  it('prevents a missing start, also after a long time without a process', () => {
    expect(evaluate(d()).decisions).toEqual([]);
    const late = evaluate(d(), NOW + 3600 * SECOND);
    expect(late.decisions).toEqual([]);
    expect(late.verifyJobs).toMatchObject([{ id: 'r1', reason: 'flapping', dueMs: NOW + 50 * SECOND }]);
  });

  it('has its job verified a second after it was due, not before', () => {
    expect(evaluate(d())).toMatchObject({ verifyJobs: [], requeueAtMs: NOW + 51 * SECOND });
    expect(evaluate(d(), NOW + 51 * SECOND).verifyJobs).toHaveLength(1);
  });

  it.each<[string, (d: Droplet) => Droplet, string]>([
    ['the app is stopped', (x) => ({ ...x, desired: desired({ state: 'STOPPED' }) }), 'not_wanted'],
    ['the index is scaled away', (x) => ({ ...x, desired: desired({ instances: 0 }) }), 'not_wanted'],
    ['the app is gone', (x) => ({ ...x, goneMs: NOW - SECOND }), 'not_wanted'],
    [
      'the version is old',
      (x) => ({ ...x, firstSeenMs: NOW, desired: desired({ version: 'v2' }) }),
      'not_wanted',
    ],
    ['it runs again', (x) => ({ ...x, instances: [instance('b')] }), 'live'],
  ])('is dropped when %s', (_, change, why) => {
    const decided = evaluate(change(d()));
    expect(decided.decisions).toMatchObject([{ kind: 'cancel', what: 'start', id: 'r1', why }]);
    expect(decided.slots.get(0)?.start).toBeUndefined();
  });

  it('that was sent without effect is followed by a missing start', () => {
    const was = droplet({
      slots: [flapping({ lastCrashMs: NOW - 100 * SECOND, start: pending({ dueMs: NOW - 40 * SECOND }) })],
      outcomes: [{ id: 'r1', outcome: 'sent', atMs: NOW - LOST - 1 }],
    });
    expect(evaluate(was).decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
  });

  it('is decided again when it was dropped during the delay', () => {
    const was = droplet({
      slots: [flapping({ start: pending() })],
      outcomes: [{ id: 'r1', outcome: 'dropped', atMs: NOW, why: 'live' }],
    });
    expect(evaluate(was).decisions).toMatchObject([{ kind: 'start', reason: 'flapping' }]);
  });

  it('an evacuation in between does not shorten the delay', () => {
    const was = { ...d(), instances: [instance('e', { state: 'EVACUATING' })] };
    expect(evaluate(was).decisions).toEqual([]);
  });
});

describe('FLAPPING', () => {
  it.each(['STARTING', 'RUNNING'])('is left when an instance is %s again; the count stays', (state) => {
    const decided = evaluate(
      droplet({ slots: [flapping({ crashes: 3 })], instances: [instance('b', { state })] }),
    );
    expect(decided.slots.get(0)).toMatchObject({ crashes: 3, flapping: false });
  });

  it('is left after flapping_timeout without a crash, also of a slot that is not started', () => {
    const d = droplet({ slots: [flapping()], desired: desired({ state: 'STOPPED' }) });
    const overMs = NOW - 10 * SECOND + TIMEOUT + 1;
    expect(evaluate(d).slots.get(0)?.flapping).toBe(true);
    expect(evaluate(d).requeueAtMs).toBe(overMs);
    expect(evaluate(d, overMs).slots.get(0)).toMatchObject({ crashes: 2, flapping: false });
  });

  it('the remaining count makes the next crash flapping', () => {
    const d = droplet({ slots: [flapping({ flapping: false })], exits: [exit('b')] });
    expect(evaluate(d).decisions).toMatchObject([{ kind: 'start', reason: 'flapping' }]);
  });

  it('a slot lost with a silent DEA after a restart is missing, not flapping', () => {
    const d = droplet({ slots: [flapping({ flapping: false })] });
    expect(evaluate(d).decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
  });

  it('an old count is forgotten', () => {
    const old = NOW - 2 * TIMEOUT - 1;
    const d = droplet({
      slots: [slot({ crashes: 1, lastCrashMs: old })],
      instances: [instance('a')],
    });
    expect(evaluate(d).slots.size).toBe(0);
    expect(evaluate(d, NOW - 1).requeueAtMs).toBe(NOW);
  });
});
