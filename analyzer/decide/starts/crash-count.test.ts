import { describe, expect, it } from 'vitest';
import type { Droplet, Exit } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  holds,
  instance,
  NOW,
  SECOND,
  SETTINGS,
  slot,
} from '../../../common/testing/builders.ts';
import { decide } from '../decide.ts';
import { applyDecision } from '../simulation/fixtures.ts';
import { evaluate, flapping, pending, TIMEOUT } from '../simulation/flapping.ts';

describe('the count', () => {
  it('starts again when the previous crash was received more than flapping_timeout before', () => {
    const gapOf = (gapMs: number): Droplet => ({
      ...droplet({ slots: [slot({ crashes: 1, lastCrashMs: NOW - gapMs })] }),
      exits: [exit('b')],
    });
    expect(evaluate(gapOf(TIMEOUT)).slots.get(0)?.crashes).toBe(2);
    expect(evaluate(gapOf(TIMEOUT + 1)).slots.get(0)?.crashes).toBe(1);
  });

  it.each([undefined, 0, NOW / 1000 - 3600, NOW / 1000 + 3600])(
    'does not depend on crash_timestamp, because the clocks of DEAs differ (%s)',
    (crashTimestampS) => {
      const { crashTimestampS: _, ...crash } = exit('b');
      const given = crashTimestampS === undefined ? crash : { ...crash, crashTimestampS };
      const known = slot({ crashes: 1, lastCrashMs: NOW - 10 * SECOND });
      const decided = evaluate({ ...droplet({ slots: [known] }), exits: [given] });
      expect(decided.slots.get(0)).toMatchObject({ crashes: 2, flapping: true, lastCrashMs: NOW });
    },
  );

  it('is not raised by a crash of an instance that no heartbeat listed, while another one is listed and live', () => {
    const crash = exit('never listed');
    const listed = evaluate(droplet({ instances: [instance('a')], exits: [crash] }));
    expect(listed.slots.size).toBe(0);
    expect(listed.decisions).toEqual([]);
    expect(listed.handledExits).toBe(crash.n);
    const left = instance('a', { lastListedMs: NOW - 10 * SECOND });
    for (const instances of [[], [instance('a', { state: 'CRASHED' })], [left], [instance('never listed')]]) {
      expect(evaluate(droplet({ instances, exits: [crash] })).slots.get(0)?.crashes).toBe(1);
    }
  });

  it('is raised by a crash that was received before a bulk pass first listed the droplet', () => {
    const d = droplet({ desired: undefined, firstSeenMs: NOW - SECOND, exits: [exit('a'), exit('b')] });
    const before = evaluate(d);
    expect(before.handledExits).toBe(0);
    expect(before.decisions).toEqual([]);
    expect(before.requeueAtMs).toBeLessThanOrEqual(NOW + 5 * SECOND);
    const after = evaluate({ ...applyDecision(d, before), desired: desired() });
    expect(after.slots.get(0)).toMatchObject({ crashes: 2, flapping: true });
  });

  it('is not waited for when a complete pass that began after the crash did not list the droplet', () => {
    const d = droplet({ desired: undefined, firstSeenMs: NOW - SECOND, exits: [exit('a')] });
    const decided = decide(d, deas(), holds({ lastPassBegunMs: NOW + 1 }), NOW + 2, SETTINGS);
    expect(decided.handledExits).toBe(d.exits[0]?.n);
  });

  it('counts each instance guid once, also when several crash between two reconciles', () => {
    const same: Exit = exit('a');
    const d = droplet({ exits: [same, { ...same, n: same.n + 1 }] });
    expect(evaluate(d).slots.get(0)?.crashes).toBe(1);
    const two = droplet({ exits: [exit('a'), exit('b')] });
    const decided = evaluate(two);
    expect(decided.slots.get(0)).toMatchObject({ crashes: 2, flapping: true });
    expect(decided.decisions).toMatchObject([{ kind: 'start', reason: 'flapping' }]);
  });

  it('processes exits in the order in which they were received', () => {
    const first = exit('a', { atMs: NOW - TIMEOUT - 1 });
    const second = exit('b');
    expect(evaluate(droplet({ exits: [second, first] })).slots.get(0)).toMatchObject({
      crashes: 1,
      lastCrashMs: NOW,
    });
  });

  it('is kept per index', () => {
    const d = droplet({ desired: desired({ instances: 2 }), exits: [exit('a'), exit('b', { index: 1 })] });
    expect([...evaluate(d).slots.values()].map((s) => s.crashes)).toEqual([1, 1]);
  });

  it('starts again with a new version', () => {
    const d = droplet({
      desired: desired({ version: 'v2' }),
      slots: [flapping({ crashes: 4 })],
      exits: [exit('x', { version: 'v2' })],
    });
    expect(evaluate(d).slots.get(0)).toMatchObject({ version: 'v2', crashes: 1, flapping: false });
  });

  it('starts again at droplet.updated, which drops pending restarts', () => {
    const d = droplet({ slots: [flapping({ crashes: 3, start: pending() })], updatedMs: NOW - SECOND });
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([{ kind: 'cancel', id: 'r1', why: 'updated' }]);
    expect(decided.slots.size).toBe(0);
    expect(decided.handledUpdateMs).toBe(NOW - SECOND);
    expect(evaluate(applyDecision(d, decided)).decisions).toEqual([]);
  });

  it('droplet.updated does not drop a waiting start that is no restart', () => {
    const start = pending({ reason: 'crashed', priority: 'low' });
    const d = droplet({ slots: [slot({ crashes: 1, lastCrashMs: NOW, start })], updatedMs: NOW - SECOND });
    const decided = evaluate(d);
    expect(decided.decisions).toEqual([]);
    expect(decided.slots.get(0)).toMatchObject({ crashes: 0, start: { id: 'r1' } });
  });

  it('droplet.updated ends FLAPPING though a start waits', () => {
    const start = pending({ reason: 'missing', priority: 'normal' });
    const d = droplet({ slots: [flapping({ start })], updatedMs: NOW - SECOND, listedMs: NOW });
    expect(evaluate(d).slots.get(0)).toMatchObject({ crashes: 0, flapping: false, start: { id: 'r1' } });
  });

  it('droplet.updated does not drop a restart that was sent', () => {
    const d = droplet({
      slots: [flapping({ start: pending({ dueMs: NOW - 2 * SECOND }) })],
      outcomes: [{ id: 'r1', outcome: 'sent', atMs: NOW - 2 * SECOND }],
      updatedMs: NOW - SECOND,
      listedMs: NOW,
    });
    const decided = evaluate(d);
    expect(decided.decisions).toEqual([]);
    expect(decided.slots.get(0)).toMatchObject({ crashes: 0, flapping: false, start: { id: 'r1' } });
  });

  it('a crash from before the update does not count after it', () => {
    const d = droplet({
      exits: [exit('a', { atMs: NOW - 2 * SECOND })],
      updatedMs: NOW - SECOND,
      listedMs: NOW,
    });
    const decided = evaluate(d);
    expect(decided.decisions).toMatchObject([{ kind: 'start', reason: 'crashed' }]);
    expect(decided.slots.get(0)?.crashes).toBe(0);
  });
});
