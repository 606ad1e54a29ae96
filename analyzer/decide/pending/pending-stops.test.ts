import { describe, expect, it } from 'vitest';
import type { Instance, Outcome, PendingStop } from '../../../common/model/droplet.ts';
import { desired, droplet, instance, LOST, NOW, SECOND } from '../../../common/testing/builders.ts';
import { evaluate, stops } from '../simulation/evaluate.ts';

const at = (index: number, over: Partial<Instance> = {}) => instance(`i${index}`, { index, ...over });
const stop = (guid: string, over: Partial<PendingStop> = {}): PendingStop => ({
  instance: guid,
  id: `stop-${guid}`,
  reason: 'extra_index',
  decidedMs: NOW - SECOND,
  ...over,
});
const sent = (guid: string, agoMs: number): Outcome => ({
  id: `stop-${guid}`,
  outcome: 'sent',
  atMs: NOW - agoMs,
});

describe('a pending stop', () => {
  const surplus = (stops: PendingStop[], outcomes: Outcome[] = []) =>
    droplet({ instances: [at(0), at(1)], stops, outcomes });

  it('is not decided again while it waits; its job is verified after droplet_lost', () => {
    expect(evaluate(surplus([stop('i1')]))).toMatchObject({
      decisions: [],
      verifyJobs: [],
      changed: false,
      requeueAtMs: NOW + 29 * SECOND,
    });
    const long = evaluate(surplus([stop('i1', { decidedMs: NOW - LOST })]));
    expect(long).toMatchObject({ decisions: [], changed: false, requeueAtMs: NOW + LOST });
    expect(long.verifyJobs).toMatchObject([
      { kind: 'stop', id: 'stop-i1', instance: 'i1', reason: 'extra_index' },
    ]);
  });

  it('is sent again droplet_lost after it was sent, if the instance is still there', () => {
    expect(stops(surplus([stop('i1')], [sent('i1', LOST)]))).toEqual([]);
    expect(evaluate(surplus([stop('i1')], [sent('i1', LOST)])).outcomesToForget).toEqual([]);
    expect(evaluate(surplus([stop('i1')], [sent('i1', LOST)])).requeueAtMs).toBe(NOW + 1);
    const again = evaluate(surplus([stop('i1')], [sent('i1', LOST + 1)]));
    expect(again.decisions).toMatchObject([{ kind: 'stop', instance: 'i1' }]);
    expect(again.stops.get('i1')?.id).not.toBe('stop-i1');
    expect(again.outcomesToForget).toEqual(['stop-i1']);
  });

  it('after a drop it is decided again at once', () => {
    const d = surplus([stop('i1')], [{ id: 'stop-i1', outcome: 'dropped', atMs: NOW, why: 'refused' }]);
    expect(stops(d)).toEqual(['extra_index i1']);
  });

  it('is over when the instance is gone', () => {
    const d = droplet({ instances: [at(0)], stops: [stop('i1')], outcomes: [sent('i1', SECOND)] });
    const decided = evaluate(d);
    expect(decided.stops.size).toBe(0);
    expect(decided.outcomesToForget).toEqual(['stop-i1']);
    expect(decided.decisions).toEqual([]);
  });

  it('is canceled when the instance is gone', () => {
    const d = droplet({ instances: [at(0)], stops: [stop('i1')] });
    expect(evaluate(d).decisions).toMatchObject([
      { kind: 'cancel', what: 'stop', id: 'stop-i1', why: 'gone' },
    ]);
  });

  it('is canceled when its instance leaves the list of its DEA', () => {
    const d = droplet({ instances: [at(0), at(1, { lastListedMs: NOW - SECOND })], stops: [stop('i1')] });
    expect(evaluate(d).decisions).toMatchObject([
      { kind: 'cancel', what: 'stop', id: 'stop-i1', why: 'gone' },
    ]);
  });

  it('that was sent is pending although one heartbeat of its DEA does not list the instance', () => {
    const d = droplet({
      instances: [at(0), at(1, { lastListedMs: NOW - SECOND })],
      stops: [stop('i1')],
      outcomes: [sent('i1', SECOND)],
    });
    expect(evaluate(d).decisions).toEqual([]);
    expect([...evaluate(d).stops.keys()]).toEqual(['i1']);
  });

  it('never has the id of a start', () => {
    const d = droplet({
      desired: desired({ instances: 2 }),
      instances: [instance('0', { index: 0, version: 'v0' }), instance('1', { index: 1 })],
    });
    const ids = evaluate(d).decisions.map(({ kind, id }) => `${kind} ${id}`);
    expect(ids).toHaveLength(2);
    expect(new Set(ids.map((x) => x.split(' ')[1])).size).toBe(2);
  });
});
