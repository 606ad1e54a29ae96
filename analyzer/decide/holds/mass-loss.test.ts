import { describe, expect, it } from 'vitest';
import type { Instance } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  LOST,
  NOW,
  SECOND,
  SETTINGS,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { answers, answersUnder } from '../simulation/evaluate.ts';

const silent = (agoMs: number) => deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } });

const missing = () => droplet();

describe('which hold covers what', () => {
  it('mass_loss: missing starts for the late DEAs instances, no others', () => {
    const lost = droplet({
      desired: desired({ instances: 2 }),
      instances: [instance('a'), instance('b', { index: 1, dea: 'dea-2' })],
    });
    const bothSilent = deas({
      'dea-1': { lastHeartbeatMs: NOW - LOST - 1 },
      'dea-2': { lastHeartbeatMs: NOW - LOST - 1 },
    });
    const on = { massLossDeas: new Set(['dea-1']) };
    expect(answers(lost, on, bothSilent)).toEqual(['held missing mass_loss', 'start missing']);
    expect(answers(missing(), on)).toEqual(['start missing']);
    const unlisted = droplet({ instances: [instance('a', { lastListedMs: NOW - LOST - 1 })] });
    expect(answers(unlisted, on)).toEqual(['start missing']);
    const exited = droplet({ instances: [instance('a')], exits: [exit('a')] });
    expect(answers(exited, on, silent(LOST + 1))).toEqual(['start crashed']);
    expect(answers({ ...exited, handledExits: 1e9 }, on, silent(LOST + 1))).toEqual(['start missing']);
    const resumed = droplet({
      instances: [instance('a')],
      exits: [exit('a', { reason: 'DEA_SHUTDOWN', atMs: NOW - 10 * LOST })],
      handledExits: 1e9,
    });
    expect(answers(resumed, on, silent(LOST + 1))).toEqual(['held missing mass_loss']);
  });

  it.each<[string, number, number, string]>([
    [
      'of an older app begun anew when they were no longer heard',
      NOW - 2 * LOST,
      NOW - 3600 * SECOND,
      'held',
    ],
    ['begun when they were still heard', NOW - 3 * LOST, NOW - 3600 * SECOND, 'start'],
    ['of a new app', NOW - 2 * LOST, NOW - 2 * LOST - SECOND, 'start'],
  ])('mass_loss: a record %s may lack the late DEAs instances', (_, firstSeenMs, updatedMs, kind) => {
    const d = droplet({ firstSeenMs, desired: desired({ updatedAtS: updatedMs / 1000 }) });
    const on = { massLossDeas: new Set(['dea-1']), massLossSinceMs: NOW - LOST };
    expect(answers(d, on)).toEqual([kind === 'held' ? 'held missing mass_loss' : 'start missing']);
  });

  it('mass_loss: a lost record begun anew may lack the late DEAs instances, also of an app that was just scaled', () => {
    const begunMs = NOW - 2 * LOST;
    const scaled = desired({ updatedAtS: begunMs / 1000 - 1 });
    const d = droplet({ firstSeenMs: begunMs, rebuiltMs: begunMs, desired: scaled });
    const on = { massLossDeas: new Set(['dea-1']), massLossSinceMs: NOW - LOST };
    expect(answers(d, on)).toEqual(['held missing mass_loss']);
  });

  it.each<[string, Parameters<typeof instance>[1], string]>([
    ['RUNNING', {}, 'held missing mass_loss'],
    ['STARTING', { state: 'STARTING' }, 'held missing mass_loss'],
    ['CRASHED', { state: 'CRASHED' }, 'start missing'],
    ['another version', { version: 'v0' }, 'start missing'],
    ['another index', { index: 1 }, 'start missing'],
  ])('mass_loss: of a late DEA that listed %s', (_, over, expected) => {
    const d = droplet({ instances: [instance('a', over)] });
    expect(answers(d, { massLossDeas: new Set(['dea-1']) }, silent(LOST + 1))).toEqual([expected]);
  });

  it.each<[string, number, Parameters<typeof droplet>[0], string?]>([
    ['evaluated since the DEA was lost', NOW - 4, {}, 'start missing'],
    ['last evaluated just before the DEA was lost: no hold, but it waits', NOW - 5, {}],
    [
      'not evaluated since, and left out by its latest heartbeat: it waits',
      1,
      { instances: [instance('a', { lastListedMs: NOW - LOST - 5 - LOST / 3 })] },
    ],
    [
      'not evaluated since, but listed at another index',
      1,
      { instances: [instance('a', { index: 1 })] },
      'start missing',
    ],
    [
      'not evaluated since, but CRASHED',
      1,
      { instances: [instance('a', { state: 'CRASHED' })] },
      'start missing',
    ],
    [
      'not evaluated since, but no longer listed for longer than a heartbeat period before',
      1,
      { instances: [instance('a', { lastListedMs: NOW - LOST - 6 - LOST / 3 })] },
      'start missing',
    ],
  ])('mass_loss: what is missing on a lost DEA, %s', (_, untilMs, over, expected) => {
    const d = droplet({ instances: [instance('a')], ...over });
    const lost = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 5 } });
    const waits = expected === undefined ? [] : [expected];
    expect(answers(d, { massLossEvaluated: { sinceMs: 0, untilMs } }, lost)).toEqual(waits);
  });

  it('mass_loss: a time that was brought back is no heartbeat that leaves an instance out', () => {
    const d = droplet({ instances: [instance('a', { lastListedMs: NOW - 2 * LOST })] });
    const on = { massLossDeas: new Set(['dea-1']) };
    const heard = { lastHeartbeatMs: NOW - LOST - 5 };
    expect(answers(d, on, deas({ 'dea-1': heard }))).toEqual(['start missing']);
    expect(answers(d, on, deas({ 'dea-1': { ...heard, isRestored: true } }))).toEqual([
      'held missing mass_loss',
    ]);
  });

  it('a single heartbeat that follows a silence leaves an instance out, and does not end it', () => {
    const d = droplet({ instances: [instance('a', { lastListedMs: NOW - 2 * LOST })] });
    const heard = (agoMs: number, previousAgoMs: number) =>
      deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs, previousHeartbeatMs: NOW - previousAgoMs } });
    expect(answers(d, {}, heard(SECOND, 2 * LOST))).toEqual([]);
    expect(answers(d, {}, heard(LOST + 1, 2 * LOST))).toEqual(['start missing']);
    expect(answers(d, {}, heard(SECOND, 2 * LOST - 1))).toEqual(['start missing']);
  });

  it.each<[string, number | undefined, { instances?: Instance[] }, string]>([
    ['without a watermark', undefined, {}, 'held missing actual_not_fresh'],
    ['with a watermark just before the loss', NOW - 5, {}, 'held missing actual_not_fresh'],
    ['with a watermark after the loss', NOW - 4, {}, 'start missing'],
    [
      'with a watermark before the loss, but no longer listed before',
      NOW - 5,
      { instances: [instance('a', { lastListedMs: NOW - 2 * LOST })] },
      'start missing',
    ],
    [
      'with a watermark before the loss, but listed at another index',
      NOW - 5,
      { instances: [instance('a', { index: 1 })] },
      'start missing',
    ],
  ])('actual_not_fresh: what is missing on a lost DEA, %s', (_, heartbeatWatermarkMs, over, expected) => {
    const d = droplet({ instances: [instance('a')], ...over });
    const lost = deas({ 'dea-1': { lastHeartbeatMs: NOW - LOST - 5 } });
    const { heartbeatWatermarkMs: __, ...noWatermark } = holds();
    const on = { ...noWatermark, ...(heartbeatWatermarkMs !== undefined && { heartbeatWatermarkMs }) };
    expect(answersUnder(d, on, lost)).toEqual([expected]);
  });

  it.each<[string, number, number, string]>([
    ['and its last heartbeat may be lost', LOST + 5, 5, 'held missing actual_not_fresh'],
    ['and its last heartbeat may be lost, but was longer ago', LOST + 5, 4, 'start missing'],
    [
      'and a heartbeat after the last one may be lost',
      LOST + LOST / 3,
      3 * SECOND + LOST / 3,
      'held missing actual_not_fresh',
    ],
    ['and for one heartbeat period more', LOST + LOST / 3 + 1, 3 * SECOND + LOST / 3, 'start missing'],
    ['and what was lost came before its last heartbeat', LOST + 5, -1, 'start missing'],
  ])('actual_not_fresh: what is missing on a DEA that is lost, %s', (_, silentMs, lostAfterMs, expected) => {
    const d = droplet({ instances: [instance('a')] });
    const lossPossibleUntilMs = NOW - silentMs + lostAfterMs;
    expect(answers(d, { lossPossibleUntilMs }, silent(silentMs))).toEqual([expected]);
  });

  it.each<[string, number, string[]]>([
    ['too short', LOST / 3 - 1, []],
    ['long enough', LOST / 3, ['start missing']],
  ])('mass_loss: what is missing on a lost DEA, evaluated for a time that is %s', (_, forMs, expected) => {
    const on = { massLossEvaluated: { sinceMs: NOW - forMs, untilMs: NOW } };
    expect(answers(droplet({ instances: [instance('a')] }), on, silent(2 * LOST))).toEqual(expected);
  });

  it('mass_loss: a live instance is not lost, however long ago the hold was evaluated', () => {
    const d = droplet({ instances: [instance('a')] });
    expect(answers(d, { massLossEvaluated: { sinceMs: 0, untilMs: 1 } })).toEqual([]);
  });

  it('mass_loss: what is missing on a lost DEA, never evaluated', () => {
    const { massLossEvaluated: _, ...never } = holds();
    const { decisions } = decide(
      droplet({ instances: [instance('a')] }),
      silent(LOST + 1),
      never,
      NOW,
      SETTINGS,
    );
    expect(decisions).toEqual([]);
  });

  it('mass_loss: what the latest heartbeat of a late DEA left out', () => {
    const d = droplet({ instances: [instance('a', { lastListedMs: NOW - LOST - 1 })] });
    const late = { massLossDeas: new Set(['dea-1']) };
    expect(answers(d, late, silent(LOST - 5 * SECOND))).toEqual(['held missing mass_loss']);
    // Until its DEA is lost or sends its next heartbeat, it is not known whether the heartbeat was a full list.
    expect(answers(d, {}, silent(LOST - 5 * SECOND))).toEqual([]);
    expect(answers(d, {}, silent(SECOND))).toEqual(['start missing']);
    const { instancesToForget } = decide(d, silent(LOST - 5 * SECOND), holds(), NOW, SETTINGS);
    expect(instancesToForget).toEqual([]);
  });
});
