import { describe, expect, it } from 'vitest';
import type { Droplet, Exit, PendingStart } from '../../../common/model/droplet.ts';
import {
  deas,
  desired,
  droplet,
  exit,
  instance,
  LOST,
  NOW,
  SECOND,
  slot,
} from '../../../common/testing/builders.ts';
import { type Conditions, evaluate, kinds, starts } from '../simulation/evaluate.ts';
import { applyDecision } from '../simulation/fixtures.ts';

function waiting(over: Partial<PendingStart> = {}): PendingStart {
  return { id: 'd1', reason: 'missing', priority: 'normal', decidedMs: NOW - 5 * SECOND, ...over };
}
const silent = (agoMs: number) =>
  deas({ 'dea-1': { lastHeartbeatMs: NOW - agoMs, previousHeartbeatMs: NOW - agoMs - 10_000 } });

describe('missing', () => {
  it.each<[string, Droplet, Conditions, string[]]>([
    ['a wanted slot without an instance', droplet(), {}, ['missing 0 normal']],
    [
      'each missing index separately',
      droplet({ desired: desired({ instances: 3 }), instances: [instance('a', { index: 1 })] }),
      {},
      ['missing 0 normal', 'missing 2 normal'],
    ],
    ['RUNNING', droplet({ instances: [instance('a')] }), {}, []],
    ['STARTING', droplet({ instances: [instance('a', { state: 'STARTING' })] }), {}, []],
    ['only CRASHED', droplet({ instances: [instance('a', { state: 'CRASHED' })] }), {}, ['missing 0 normal']],
    [
      'only RESUMING',
      droplet({ instances: [instance('a', { state: 'RESUMING' })] }),
      {},
      ['missing 0 normal'],
    ],
    [
      'only another version',
      droplet({ instances: [instance('a', { version: 'v0' })] }),
      {},
      ['missing 0 normal'],
    ],
    [
      'the DEA silent for exactly droplet_lost',
      droplet({ instances: [instance('a')] }),
      { deas: silent(LOST) },
      [],
    ],
    [
      'the DEA silent for longer',
      droplet({ instances: [instance('a')] }),
      { deas: silent(LOST + 1) },
      ['missing 0 normal'],
    ],
    ['the DEA expired', droplet({ instances: [instance('a')] }), { deas: new Map() }, ['missing 0 normal']],
    [
      'the DEA not known yet, the instance just listed',
      droplet({ instances: [instance('a', { firstListedMs: NOW - SECOND })] }),
      { deas: new Map() },
      [],
    ],
    [
      'off the list for droplet_lost',
      droplet({ instances: [instance('a', { lastListedMs: NOW - LOST })] }),
      {},
      [],
    ],
    [
      'off the list for longer',
      droplet({ instances: [instance('a', { lastListedMs: NOW - LOST - 1 })] }),
      {},
      ['missing 0 normal'],
    ],
    ['STOPPED', droplet({ desired: desired({ state: 'STOPPED' }) }), {}, []],
    [
      'a processed crash does not delay it',
      droplet({ exits: [exit('a', { atMs: NOW - SECOND })], handledExits: 1e9 }),
      {},
      ['missing 0 normal'],
    ],
    [
      'of several STOPPED exits the last one counts, in any order of reading',
      droplet({
        exits: [
          exit('a', { reason: 'STOPPED', atMs: NOW - SECOND }),
          exit('b', { reason: 'STOPPED', atMs: NOW - LOST }),
        ],
        handledExits: 1e9,
      }),
      {},
      [],
    ],
    ['PENDING', droplet({ desired: desired({ packageState: 'PENDING' }) }), {}, []],
    ['FAILED', droplet({ desired: desired({ packageState: 'FAILED' }) }), {}, []],
    ['no instances wanted', droplet({ desired: desired({ instances: 0 }) }), {}, []],
    ['desired state unknown', droplet({ desired: undefined }), {}, []],
    ['gone from the desired state', droplet({ goneMs: NOW - SECOND }), {}, []],
    ['first seen less than droplet_lost ago', droplet({ firstSeenMs: NOW - LOST + 1 }), {}, []],
    ['first seen droplet_lost ago', droplet({ firstSeenMs: NOW - LOST }), {}, ['missing 0 normal']],
    [
      'updated less than droplet_lost ago',
      droplet({ updatedMs: NOW - LOST + 1, handledUpdateMs: NOW - LOST + 1 }),
      {},
      [],
    ],
    ['updated droplet_lost ago', droplet({ updatedMs: NOW - LOST }), {}, ['missing 0 normal']],
    [
      'an instance of the slot stopped just now',
      droplet({ exits: [exit('a', { reason: 'STOPPED' })] }),
      {},
      [],
    ],
    [
      'an instance of the slot stopped droplet_lost ago',
      droplet({ exits: [exit('a', { reason: 'STOPPED', atMs: NOW - LOST })] }),
      {},
      ['missing 0 normal'],
    ],
    [
      'an exit at one index does not delay the others',
      droplet({ desired: desired({ instances: 2 }), exits: [exit('a', { reason: 'STOPPED' })] }),
      {},
      ['missing 1 normal'],
    ],
    [
      'an old version stopping does not delay it',
      droplet({ exits: [exit('a', { reason: 'STOPPED', version: 'v0' })] }),
      {},
      ['missing 0 normal'],
    ],
  ])('%s', (_, d, conditions, expected) => {
    expect(starts(d, conditions)).toEqual(expected);
  });

  it('requeues for the end of a grace period', () => {
    const decided = evaluate(droplet({ firstSeenMs: NOW - 10 * SECOND }));
    expect(decided).toMatchObject({ changed: false, requeueAtMs: NOW + 20 * SECOND });
  });

  it('requeues for the loss of an unlisted instance, and of a silent DEA', () => {
    const unlisted = droplet({ instances: [instance('a', { lastListedMs: NOW - 10 * SECOND })] });
    expect(evaluate(unlisted).requeueAtMs).toBe(NOW + 20 * SECOND + 1);
    const onSilent = droplet({ instances: [instance('a')] });
    expect(evaluate(onSilent, { deas: silent(20 * SECOND) }).requeueAtMs).toBe(NOW + 10 * SECOND + 1);
    const onUnknown = droplet({ instances: [instance('a', { firstListedMs: NOW - SECOND })] });
    expect(evaluate(onUnknown, { deas: new Map() }).requeueAtMs).toBe(NOW + 29 * SECOND + 1);
  });

  it('the larger the missing share, the earlier within the priority', () => {
    const priority = (d: Droplet) =>
      evaluate(d).decisions.map((x) => (x.kind === 'start' ? x.queuePriority : 0))[0];
    const allGone = priority(droplet({ desired: desired({ instances: 2 }) }));
    const halfGone = priority(droplet({ desired: desired({ instances: 2 }), instances: [instance('a')] }));
    expect(allGone).toBeLessThan(halfGone ?? 0);
    const surplus = [instance('a', { index: 5 })];
    expect(priority(droplet({ desired: desired({ instances: 2 }), instances: surplus }))).toBe(allGone);
  });
});

describe('crashed', () => {
  const crash = (over: Partial<Exit> = {}) =>
    droplet({ instances: [instance('a')], exits: [exit('a', over)] });

  it.each<[string, Droplet, Conditions, string[]]>([
    ['a crash of a wanted instance', crash(), {}, ['crashed 0 low']],
    ['also in the grace period', { ...crash(), firstSeenMs: NOW - SECOND }, {}, ['crashed 0 low']],
    ['of an instance that no heartbeat listed', droplet({ exits: [exit('x')] }), {}, ['crashed 0 low']],
    [
      'not while a record that was begun anew may lack instances',
      { ...crash(), firstSeenMs: NOW - LOST + 1, rebuiltMs: NOW - LOST + 1 },
      {},
      [],
    ],
    ['once every DEA was heard again', { ...crash(), rebuiltMs: NOW - LOST }, {}, ['crashed 0 low']],
    ['while another copy is live', { ...crash(), instances: [instance('a'), instance('b')] }, {}, []],
    ['of a STOPPED app', { ...crash(), desired: desired({ state: 'STOPPED' }) }, {}, []],
    ['of an app that is not staged', { ...crash(), desired: desired({ packageState: 'PENDING' }) }, {}, []],
    ['of an unknown app', droplet({ desired: undefined, exits: [exit('a')] }), {}, []],
    ['of a gone app', { ...crash(), goneMs: NOW - SECOND }, {}, []],
    ['of an old version', { ...crash({ version: 'v0' }), instances: [instance('b')] }, {}, []],
    ['of an index out of range', { ...crash({ index: 5 }), instances: [instance('b')] }, {}, []],
    [
      'of an old version, also of a slot that has no instance',
      droplet({ firstSeenMs: NOW, exits: [exit('a', { version: 'v0' })] }),
      {},
      [],
    ],
    ['STOPPED is no crash', crash({ reason: 'STOPPED' }), {}, []],
  ])('%s', (_, d, conditions, expected) => {
    expect(starts(d, conditions)).toEqual(expected);
  });

  it.each<[string, Droplet]>([
    ['of a STOPPED app', { ...crash(), desired: desired({ state: 'STOPPED' }) }],
    ['of an old version', { ...crash({ version: 'v0' }), instances: [instance('b')] }],
    ['of an index out of range', { ...crash({ index: 5 }), instances: [instance('b')] }],
    ['STOPPED', crash({ reason: 'STOPPED' })],
    ['DEA_SHUTDOWN', { ...crash({ reason: 'DEA_SHUTDOWN' }), instances: [instance('b')] }],
  ])('only crashes of a wanted slot are counted: %s', (_, d) => {
    const { slots, handledExits } = evaluate(d);
    expect([...slots.values()].map(({ crashes }) => crashes)).toEqual([]);
    expect(handledExits).toBe(d.exits[0]?.n);
  });

  it('is decided once, and the exit is processed', () => {
    const d = crash();
    const first = evaluate(d);
    expect(first.handledExits).toBe(d.exits[0]?.n);
    expect(first.slots.get(0)).toMatchObject({ crashes: 1, lastCrashMs: NOW });
    expect(kinds(evaluate(applyDecision(d, first)))).toEqual([]);
  });

  it('a late heartbeat does not make the instance live again', () => {
    const d = { ...crash({ atMs: NOW - 2 * LOST }), handledExits: 1e9 };
    const decided = evaluate(d, { deas: deas({ 'dea-1': { lastHeartbeatMs: NOW } }) });
    expect(decided.decisions).toMatchObject([{ kind: 'start', reason: 'missing' }]);
  });

  it('an instance still listed 2 * droplet_lost after its exit is believed again', () => {
    const d = { ...crash({ atMs: NOW - 2 * LOST - 1 }), handledExits: 1e9 };
    expect(starts(d, { deas: deas({ 'dea-1': { lastHeartbeatMs: NOW } }) })).toEqual([]);
  });

  it('a listed instance whose exit is in force is reconciled when that ends', () => {
    const d = {
      ...crash({ atMs: NOW - 40 * SECOND }),
      handledExits: 1e9,
      slots: new Map([[0, slot({ start: waiting() })]]),
    };
    expect(evaluate(d).requeueAtMs).toBeLessThanOrEqual(NOW + 20 * SECOND + 1);
  });
});

describe('a healthy droplet', () => {
  it.each<[string, Droplet]>([
    ['one instance', droplet({ instances: [instance('a')] })],
    [
      'several, one still STARTING',
      droplet({
        desired: desired({ instances: 2 }),
        instances: [instance('b', { index: 1, state: 'STARTING' }), instance('a')],
      }),
    ],
    ['stopped', droplet({ desired: desired({ state: 'STOPPED' }) })],
    [
      'updated long ago',
      droplet({ instances: [instance('a')], updatedMs: 5, handledUpdateMs: 5, handledExits: 3 }),
    ],
    [
      'more than the quick check covers',
      droplet({
        desired: desired({ instances: 40 }),
        instances: Array.from({ length: 40 }, (_, index) => instance(`i${index}`, { index })),
      }),
    ],
  ])('%s: nothing is stored or requeued', (_, d) => {
    const decided = evaluate(d);
    expect(decided).toMatchObject({ decisions: [], verifyJobs: [], remove: false, changed: false });
    expect(decided.requeueAtMs).toBeUndefined();
    expect(decided.handledExits).toBe(d.handledExits);
    expect(decided.handledUpdateMs).toBe(d.handledUpdateMs);
  });

  it('two copies of one index do not pass for two indices', () => {
    const d = droplet({ desired: desired({ instances: 2 }), instances: [instance('a'), instance('b')] });
    expect(starts(d)).toEqual(['missing 1 normal']);
  });

  it('an index beyond 31 does not pass for a lower one', () => {
    const d = droplet({ instances: [instance('a', { index: 32 })] });
    expect(starts(d)).toEqual(['missing 0 normal']);
  });

  it('an update of a healthy droplet is processed', () => {
    const d = droplet({ instances: [instance('a')], updatedMs: NOW - SECOND, listedMs: NOW });
    expect(evaluate(d)).toMatchObject({ decisions: [], changed: true, handledUpdateMs: NOW - SECOND });
  });
});
