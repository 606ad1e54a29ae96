import { describe, expect, it } from 'vitest';
import type { Droplet, Holds } from '../model/droplet.ts';
import { deas, desired, droplet, exit, holds, instance, NOW, SECOND, SETTINGS } from '../testing/builders.ts';
import { Recheck } from './recheck.ts';

describe('the recheck of a stop', () => {
  const stop = (guid: string, over = {}) => ({
    instance: guid,
    id: `t-${guid}`,
    reason: 'extra_index' as const,
    decidedMs: NOW,
    ...over,
  });
  const job = { id: 't-b', instance: 'b' };
  const a = instance('a');
  const b = instance('b', { index: 1 });

  function recheckStop(d: Droplet, on: Partial<Holds> = {}) {
    const checked = new Recheck(d, deas(), holds(on), NOW, SETTINGS).checkStop(job);
    if (!('send' in checked)) return checked;
    const { running, instances, ...send } = checked.send;
    return { ...checked, send: { ...send, running: Object.fromEntries(running), instances: [...instances] } };
  }

  it('sends it with the count of RUNNING instances and of the stopped one, whatever its state', () => {
    const running = (state: string) =>
      recheckStop(
        droplet({
          instances: [
            a,
            { ...b, state },
            instance('o', { version: 'v0' }),
            instance('p', { version: 'v0', state: 'STARTING' }),
          ],
          stops: [stop('b')],
        }),
      );
    const message = {
      droplet: 'droplet-1',
      updatedAtS: 1_398_000_000,
      instances: [['b', 'v1']],
      index: b.index,
      running: { v1: 2, v0: 1 },
      version: 'v1',
    };
    expect(running('RUNNING')).toEqual({ reason: 'extra_index', send: message });
    expect(running('STARTING')).toEqual({ reason: 'extra_index', send: message });
  });

  it('names an instance of a STOPPED app with the live version, because a controller refuses any other version', () => {
    const d = droplet({
      desired: desired({ state: 'STOPPED', version: 'v2' }),
      instances: [b, instance('o')],
      stops: [stop('b')],
    });
    expect(recheckStop(d)).toMatchObject({
      reason: 'stopped',
      send: { instances: [['b', 'v2']], running: { v2: 1, v1: 1 }, version: 'v2' },
    });
  });

  it('sends neither a version nor a time when the droplet is not desired', () => {
    const d = droplet({ goneMs: NOW - 3600 * SECOND, instances: [b], stops: [stop('b')] });
    expect(recheckStop(d)).toEqual({
      reason: 'extra_app',
      send: {
        droplet: 'droplet-1',
        updatedAtS: undefined,
        instances: [['b', 'v1']],
        index: b.index,
        running: { v1: 1 },
        version: undefined,
      },
    });
  });

  const surplus = (over: Parameters<typeof droplet>[0] = {}) =>
    droplet({ instances: [a, b], stops: [stop('b')], ...over });

  it.each<[string, Droplet, Partial<Holds>, unknown]>([
    ['no stop in the record', surplus({ stops: [] }), {}, { drop: 'superseded' }],
    [
      'another stop in the record',
      surplus({ stops: [stop('b', { id: 'other' })] }),
      {},
      { drop: 'superseded' },
    ],
    ['only held', surplus({ stops: [stop('b', { held: 'mass_delete' })] }), {}, { drop: 'superseded' }],
    [
      'sent already',
      surplus({ outcomes: [{ id: 't-b', outcome: 'sent', atMs: NOW }] }),
      {},
      { drop: 'done' },
    ],
    ['gone', surplus({ instances: [a] }), {}, { drop: 'gone' }],
    ['exited', surplus({ exits: [exit('b')] }), {}, { drop: 'gone' }],
    ['CRASHED', surplus({ instances: [a, { ...b, state: 'CRASHED' }] }), {}, { drop: 'gone' }],
    [
      'no longer on the list of its DEA',
      surplus({ instances: [a, { ...b, lastListedMs: NOW - SECOND }] }),
      {},
      { drop: 'gone' },
    ],
    [
      'the one that would stay is no longer on the list of its DEA',
      surplus({ instances: [{ ...a, lastListedMs: NOW - SECOND }, b] }),
      {},
      { drop: 'refused' },
    ],
    ['wanted meanwhile', surplus({ desired: desired({ instances: 2 }) }), {}, { drop: 'not_surplus' }],
    ['too few would stay', surplus({ instances: [{ ...a, state: 'STARTING' }, b] }), {}, { drop: 'refused' }],
    [
      'too few would stay with the other pending stops',
      surplus({ desired: desired({ instances: 1 }), stops: [stop('b'), stop('a')] }),
      {},
      { drop: 'refused' },
    ],
    [
      'another version is being stopped, for which one of the live version must stay',
      droplet({
        desired: desired({ instances: 0 }),
        instances: [b, instance('old', { version: 'v0' })],
        stops: [stop('b'), stop('old', { reason: 'wrong_version' })],
      }),
      {},
      { drop: 'refused' },
    ],
    [
      'a live version that does not run any more',
      surplus({ instances: [{ ...b, version: 'v0' }] }),
      {},
      { drop: 'refused' },
    ],
    [
      'surplus for another reason meanwhile',
      surplus({ desired: desired({ state: 'STOPPED' }) }),
      {},
      { reason: 'stopped' },
    ],
    ['held', surplus(), { desiredUnavailable: true }, { drop: 'held:desired_unavailable' }],
    [
      'held by another hold',
      surplus({ goneMs: NOW - 3600 * SECOND }),
      { massDelete: true },
      { drop: 'held:mass_delete' },
    ],
    ['not held', surplus(), { actualNotFresh: true, massDelete: true }, { send: {} }],
  ])('%s', (_, d, on, expected) => {
    expect(recheckStop(d, on)).toMatchObject(expected as object);
  });
});
