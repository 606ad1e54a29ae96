import { describe, expect, test } from 'vitest';
import type { Holds } from '../../model/droplet.ts';
import { takeSnapshot } from '../../policy/snapshot.ts';
import { desired, droplet, exit, instance, NOW, SECOND, SETTINGS, slot } from '../../testing/builders.ts';
import { troubleOf } from './troubled.ts';

const HOLDS: Holds = {
  desiredUnavailable: false,
  actualNotFresh: false,
  massLossDeas: new Set(),
  heartbeatWatermarkMs: NOW,
  massLossEvaluated: { sinceMs: 0, untilMs: NOW },
  massDelete: false,
  lastPassBegunMs: NOW - SECOND,
};
const DEAS = new Map([
  ['dea-1', { lastHeartbeatMs: NOW - SECOND }],
  ['dea-2', { lastHeartbeatMs: NOW - 41 * SECOND }],
]);
const troubleIn = (fields: Parameters<typeof droplet>[0]) =>
  troubleOf(takeSnapshot(droplet(fields), DEAS, HOLDS, NOW, SETTINGS));
const start = (more: object) => ({
  ...{ id: 's', reason: 'missing' as const, priority: 'normal' as const, decidedMs: NOW - 2 * SECOND },
  ...more,
});

describe('the problems of a droplet', () => {
  test('none when all wanted slots are live', () => {
    expect(troubleIn({ instances: [instance('i1')] })).toBeUndefined();
  });

  test('slots lost with one DEA are one group, with the DEA and its last heartbeat', () => {
    const trouble = troubleIn({
      desired: desired({ instances: 4 }),
      instances: [
        instance('i0'),
        ...[1, 2, 3].map((index) => instance(`i${index}`, { index, dea: 'dea-2' })),
      ],
      slots: [1, 2, 3].map((index) => slot({ index, start: start({ decidedMs: NOW - index * SECOND }) })),
    });
    expect(trouble).toMatchObject({
      wanted: 4,
      live: 1,
      missing: 3,
      groups: [
        {
          indices: '1 to 3',
          count: 3,
          state: 'MISSING',
          lastInstance: { dea: 'dea-2', cause: 'silent', lastHeartbeatMs: NOW - 41 * SECOND },
          step: { kind: 'queued', reason: 'missing' },
        },
      ],
    });
  });

  test('a queued start waits for a nudger if none takes jobs, and is held if a hold came on since', () => {
    const fields = { slots: [slot({ start: start({}) })] };
    const of = (holds: Partial<Holds>, noNudger: boolean) =>
      troubleOf(takeSnapshot(droplet(fields), DEAS, { ...HOLDS, ...holds }, NOW, SETTINGS), { noNudger });
    expect(of({}, true)?.groups[0]?.step).toMatchObject({ kind: 'queued', noNudger: true });
    const restart = { slots: [slot({ start: start({ reason: 'flapping', dueMs: NOW - SECOND }) })] };
    const snapshot = takeSnapshot(droplet(restart), DEAS, HOLDS, NOW, SETTINGS);
    expect(troubleOf(snapshot)?.groups[0]?.step).toEqual({ kind: 'restart', dueMs: NOW - SECOND });
    expect(troubleOf(snapshot, { noNudger: true })?.groups[0]?.step).toMatchObject({
      ...{ kind: 'queued', noNudger: true, sinceMs: NOW - SECOND },
    });
    expect(of({}, false)?.groups[0]?.step).not.toHaveProperty('noNudger');
    const held = of({ desiredUnavailable: true }, true);
    expect(held?.groups[0]?.step).toEqual({ kind: 'held', hold: 'desired_unavailable' });
    expect(held?.states).toMatchObject({ MISSING: 1, HELD: 1 });
  });

  test('indices on many DEAs are one group; of groups that differ in more only the largest are returned', () => {
    const instances = Array.from({ length: 12 }, (_, index) =>
      instance(`i${index}`, {
        index,
        dea: `gone-${index < 4 ? 0 : index}`,
        firstListedMs: NOW - 99 * SECOND,
      }),
    );
    const trouble = troubleIn({ desired: desired({ instances: 12 }), instances });
    expect([trouble?.missing, trouble?.groups]).toMatchObject([
      12,
      [{ indices: '0 to 11', count: 12, lastInstance: { cause: 'silent', dea: 'gone-0', deas: 9 } }],
    ]);
    const slots = [1, 2, 3, 4].map((crashes) => slot({ index: crashes, crashes }));
    const differ = troubleIn({ desired: desired({ instances: 12 }), instances, slots });
    expect([differ?.missing, differ?.groups.map(({ count }) => count)]).toEqual([12, [8, 1, 1]]);
  });

  test('a group of flapping slots has the restart that comes first', () => {
    const flapping = (index: number, dueS: number) =>
      slot({
        ...{ index, crashes: 2, flapping: true, lastCrashMs: NOW - 5 * SECOND },
        start: start({ id: `s${index}`, reason: 'flapping', dueMs: NOW + dueS * SECOND }),
      });
    const trouble = troubleIn({
      desired: desired({ instances: 2 }),
      slots: [flapping(0, 50), flapping(1, 43)],
    });
    expect(trouble?.groups).toMatchObject([
      { indices: '0 and 1', state: 'FLAPPING', step: { kind: 'restart', dueMs: NOW + 43 * SECOND } },
    ]);
  });

  test('a slot whose instance exited has the reason of the exit', () => {
    const trouble = troubleIn({
      instances: [instance('i1')],
      exits: [exit('i1', { reason: 'DEA_SHUTDOWN', atMs: NOW - 3 * SECOND })],
    });
    expect(trouble?.groups).toMatchObject([
      {
        lastInstance: {
          dea: 'dea-1',
          cause: 'ended',
          exit: 'DEA_SHUTDOWN',
          lastHeartbeatMs: NOW - 3 * SECOND,
        },
      },
    ]);
  });

  test('surplus instances, with the hold that keeps them', () => {
    const stop = (guid: string) => ({
      ...{ instance: guid, id: guid, reason: 'extra_app' as const, decidedMs: NOW },
      held: 'mass_delete' as const,
    });
    const trouble = troubleIn({ instances: [instance('i1')], stops: [stop('i2'), stop('i3')] });
    expect(trouble).toMatchObject({
      groups: [],
      stops: [{ reason: 'extra_app', count: 2, held: 'mass_delete' }],
    });
  });
});
