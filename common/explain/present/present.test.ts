import { describe, expect, test } from 'vitest';
import type { Holds } from '../../model/droplet.ts';
import { type Hash, instance, NOW, S, times, view } from '../../testing/explain.ts';
import { presentOf } from './present.ts';

describe('the present state', () => {
  const NONE: Holds = {
    desiredUnavailable: false,
    actualNotFresh: false,
    massLossDeas: new Set(),
    heartbeatWatermarkMs: NOW,
    massLossEvaluated: { sinceMs: 0, untilMs: NOW },
    massDelete: false,
    lastPassBegunMs: NOW - S,
  };
  const slot = (index: number, more: object = {}) =>
    JSON.stringify({ index, version: 'v', crashes: 0, flapping: false, ...more });
  const start = (more: object) => ({
    id: 's',
    reason: 'missing',
    priority: 'normal',
    decidedMs: NOW - 9 * S,
    ...more,
  });
  const slotOf = (hash: Hash, deas: Record<string, number> = {}) => {
    const [{ state, text } = { state: '', text: '' }] = presentOf(view(hash, deas), NONE, times).slots;
    return [state, text];
  };
  const sent = JSON.stringify({ id: 's', outcome: 'sent', atMs: NOW - 4 * S });
  const dropped = JSON.stringify({ id: 's', outcome: 'dropped', atMs: NOW, why: 'refused' });

  test.each<[string, Hash, string, string]>([
    ['no start decided yet', {}, 'MISSING', 'about to be reconciled'],
    [
      'new',
      { seen: String(NOW - 10 * S) },
      'MISSING',
      'in its grace period; started in 20 s, at 15:15:16, if no heartbeat lists it',
    ],
    [
      'queued',
      { 'slot:0': slot(0, { start: start({}) }) },
      'MISSING',
      'start (missing) queued for 9 s, priority normal',
    ],
    [
      'sent',
      { 'slot:0': slot(0, { start: start({}) }), 'outcome:s': sent },
      'MISSING',
      'start (missing) sent 4 s ago; sent again in 26 s, at 15:15:22, if no heartbeat lists it',
    ],
    [
      'dropped',
      { 'slot:0': slot(0, { start: start({}) }), 'outcome:s': dropped },
      'MISSING',
      'start dropped: the controller would refuse it now; reconciled again at once',
    ],
    [
      'flapping, and due',
      { 'slot:0': slot(0, { start: start({ reason: 'flapping', dueMs: NOW - 2 * S }) }) },
      'MISSING',
      'restart was due 2 s ago',
    ],
    [
      'flapping',
      {
        'slot:0': slot(0, {
          crashes: 2,
          flapping: true,
          lastCrashMs: NOW - 9 * S,
          start: start({ reason: 'flapping', dueMs: NOW + 51 * S }),
        }),
      },
      'FLAPPING',
      '2 crashes in a row, the last 9 s ago; restart due in 51 s, at 15:15:47',
    ],
    [
      'given up',
      { 'slot:0': slot(0, { crashes: 5, flapping: true, lastCrashMs: NOW - 100 * S }) },
      'GIVEN UP',
      '5 crashes in a row, the last 100 s ago; next try in 400 s, at 15:21:36, or when the app is changed',
    ],
    [
      'crashed for a known cause',
      {
        'slot:0': slot(0, { crashes: 1, lastCrashMs: NOW - 9 * S, start: start({ reason: 'crashed' }) }),
        'exit:a': `0 CRASHED version v at ${NOW - 9 * S} crashed - status 137 because out%20of%20memory n 2`,
        'exit:b': `0 CRASHED version v at ${NOW - 20 * S} crashed - status 1 n 1`,
      },
      'MISSING',
      'crashed (exit status 137, out of memory) once, 9 s ago; start (crashed) queued for 9 s, priority normal',
    ],
    [
      'crashed once, started again',
      { 'slot:0': slot(0, { crashes: 1, lastCrashMs: NOW - 9 * S, start: start({ reason: 'crashed' }) }) },
      'MISSING',
      'crashed once, 9 s ago; start (crashed) queued for 9 s, priority normal',
    ],
    [
      'started twice without effect',
      { 'slot:0': slot(0, { attempts: 2, retryMs: NOW + 20 * S }) },
      'MISSING',
      '2 starts in a row had no effect; next try in 20 s, at 15:15:16, or when the app is changed',
    ],
    [
      'unplaced, and the fourth start sent',
      { 'slot:0': slot(0, { attempts: 3, retryMs: NOW - 9 * S, start: start({}) }), 'outcome:s': sent },
      'UNPLACED',
      '3 starts in a row had no effect; start (missing) sent 4 s ago; sent again in 236 s, at 15:18:52, if no heartbeat lists it',
    ],
    ['held', { 'slot:0': slot(0, { held: 'mass_loss' }) }, 'MISSING', 'not started: hold mass_loss'],
  ])('of a slot without a live instance: %s', (_, hash, state, text) => {
    expect(slotOf(hash)).toEqual([state, text]);
  });

  test('of a slot with live instances', () => {
    expect(slotOf({ 'instance:a': instance(0, {}) }, { 'dea-1': 1 })).toEqual(['RUNNING', '']);
    expect(slotOf({ 'instance:a': instance(0, { state: 'STARTING' }) }, { 'dea-1': 1 })).toEqual([
      'STARTING',
      '',
    ]);
    const twice = { 'instance:a': instance(0, {}), 'instance:b': instance(0, { dea: 'dea-2' }) };
    const stop = JSON.stringify({ instance: 'b', id: 's', reason: 'duplicate', decidedMs: NOW - 9 * S });
    expect(slotOf({ ...twice, 'stop:b': stop, 'outcome:s': sent }, { 'dea-1': 1, 'dea-2': 1 })).toEqual([
      'RUNNING',
      'runs 2 times; stop sent 4 s ago (duplicate: the index runs more than once)',
    ]);
  });

  test.each<[string, Hash, string, string]>([
    [
      'crash record',
      { 'instance:x': instance(0, { state: 'CRASHED' }) },
      'crash record; its DEA still lists it',
      'plain',
    ],
    [
      'lost, and not replaced',
      { 'instance:x': instance(0, { dea: 'dea-2' }) },
      'its DEA is silent',
      'trouble',
    ],
    [
      'lost, and replaced',
      { 'instance:x': instance(0, { dea: 'dea-2' }), 'instance:y': instance(0, {}) },
      'its DEA is silent',
      'plain',
    ],
    ['not listed', { 'instance:x': instance(0, { last: 40 }) }, 'its DEA no longer lists it', 'trouble'],
    [
      'evacuated, announced by its exit',
      { 'instance:x': instance(0, {}), 'exit:x': `0 DEA_EVACUATION version v at ${NOW - S} crashed - n 1` },
      'evacuating; stopped when another instance runs at its index',
      'action',
    ],
    [
      'ended',
      { 'instance:x': instance(0, {}), 'exit:x': `0 CRASHED version v at ${NOW - 3 * S} crashed 1 n 1` },
      'ended 3 s ago (CRASHED)',
      'plain',
    ],
    [
      'ended for a known cause',
      {
        'instance:x': instance(0, {}),
        'exit:x': `0 CRASHED version v at ${NOW - 3 * S} crashed - status 1 n 1`,
      },
      'ended 3 s ago (CRASHED: exit status 1)',
      'plain',
    ],
    ['surplus', { 'instance:x': instance(7, {}) }, 'surplus, not stopped yet', 'action'],
    [
      'stop held',
      {
        'instance:x': instance(7, {}),
        'stop:x': JSON.stringify({
          instance: 'x',
          id: 's',
          reason: 'extra_index',
          decidedMs: NOW,
          held: 'update_required',
        }),
      },
      'should be stopped (extra_index: the app wants fewer instances); not stopped: hold update_required',
      'action',
    ],
  ])('of another instance: %s', (_, hash, text, tone) => {
    const { others } = presentOf(view(hash, { 'dea-1': 1, 'dea-2': 40 }), NONE, times);
    expect(others.map((other) => [other.instance.guid, other.text, other.tone])).toEqual([['x', text, tone]]);
  });

  test('names the holds that prevent decisions about this droplet', () => {
    const names = (hash: Hash, holds: Partial<Holds>, deas: Record<string, number> = {}) =>
      presentOf(view(hash, deas), { ...NONE, ...holds }, times).holds.map(({ name }) => name);
    const on = { 'instance:a': instance(0, { dea: 'dea-2' }) };
    expect(names(on, {})).toEqual([]);
    expect(names(on, { desiredUnavailable: true, actualNotFresh: true })).toEqual([
      'desired_unavailable',
      'actual_not_fresh',
    ]);
    expect(names({ updated: String(NOW) }, {})).toEqual(['update_required']);
    expect(names(on, { massLossDeas: new Set(['dea-2']) })).toEqual(['mass_loss']);
    expect(names(on, { massLossDeas: new Set(['dea-3']) })).toEqual([]);
    expect(names(on, { massLossEvaluated: { sinceMs: 0, untilMs: NOW - 12 * S } }, { 'dea-2': 41 })).toEqual(
      [],
    );
    expect(names(on, { massLossEvaluated: { sinceMs: 0, untilMs: NOW - S } }, { 'dea-2': 30 })).toEqual([]);
    expect(names(on, { heartbeatWatermarkMs: NOW - 12 * S }, { 'dea-2': 41 })).toEqual(['actual_not_fresh']);
    expect(names(on, { heartbeatWatermarkMs: NOW - S }, { 'dea-2': 41 })).toEqual([]);
    expect(names(on, { massDelete: true })).toEqual([]);
    expect(names({ ...on, gone: String(NOW - 9 * S) }, { massDelete: true })).toEqual(['mass_delete']);
  });
});
