import { describe, expect, it } from 'vitest';
import { deas, exit, instance, LOST, NOW, SECOND, SETTINGS } from '../../testing/builders.ts';
import { effectiveState, exitsByInstance, lostBefore } from './liveness.ts';

describe('liveness', () => {
  const stateOf = (over: Parameters<typeof instance>[1], silentMs = 0, end?: ReturnType<typeof exit>) =>
    effectiveState(
      instance('a', over),
      end,
      deas({ 'dea-1': { lastHeartbeatMs: NOW - silentMs } }),
      lostBefore(NOW, undefined, SETTINGS),
      SETTINGS,
    );

  it.each(['RUNNING', 'STARTING', 'EVACUATING'])(
    '%s counts for droplet_lost after the last heartbeat',
    (state) => {
      expect(stateOf({ state }, LOST)).toBe(state);
      expect(stateOf({ state }, LOST + 1)).toBe('NONE');
      expect(stateOf({ state, lastListedMs: NOW - LOST })).toBe(state);
      expect(stateOf({ state, lastListedMs: NOW - LOST - 1 })).toBe('NONE');
    },
  );

  it('the age of a heartbeat is listening time', () => {
    const gaps = [{ fromMs: NOW - 100 * SECOND, toMs: NOW - 20 * SECOND }];
    const stateAt = (agoMs: number) =>
      effectiveState(
        instance('a'),
        undefined,
        deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs } }),
        lostBefore(NOW, gaps, SETTINGS),
        SETTINGS,
      );
    expect(stateAt(110 * SECOND)).toBe('RUNNING');
    expect(stateAt(110 * SECOND + 1)).toBe('NONE');
  });

  it('an instance that was just listed counts, although the last known heartbeat of its DEA is old', () => {
    expect(stateOf({ firstListedMs: NOW - SECOND }, LOST + 1)).toBe('RUNNING');
  });

  it.each(['CRASHED', 'RESUMING', 'STOPPED', 'DELETED'])('%s does not run', (state) => {
    expect(stateOf({ state })).toBe('NONE');
  });

  it('an exit overrides heartbeats for 2 * droplet_lost, and none after that', () => {
    const crash = (agoMs: number) => exit('a', { atMs: NOW - agoMs });
    expect(stateOf({}, 0, crash(0))).toBe('NONE');
    expect(stateOf({}, 0, crash(2 * LOST))).toBe('NONE');
    expect(stateOf({}, 0, crash(2 * LOST + 1))).toBe('RUNNING');
    expect(stateOf({}, 1, crash(2 * LOST + 1))).toBe('NONE');
  });

  it('after an exit with DEA_EVACUATION an instance counts as EVACUATING, even if a late heartbeat lists it as RUNNING', () => {
    expect(stateOf({}, 0, exit('a', { reason: 'DEA_EVACUATION' }))).toBe('EVACUATING');
    expect(stateOf({ state: 'CRASHED' }, 0, exit('a', { reason: 'DEA_EVACUATION' }))).toBe('NONE');
  });

  it('of two exits of an instance DEA_EVACUATION does not count', () => {
    const announced = exit('a', { reason: 'DEA_EVACUATION' });
    const ended = exit('a', { reason: 'STOPPED' });
    expect(exitsByInstance([announced, ended]).get('a')).toBe(ended);
    expect(exitsByInstance([ended, announced]).get('a')).toBe(ended);
  });
});
