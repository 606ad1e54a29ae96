import { beforeEach, describe, expect, test } from 'vitest';
import type { Bus } from '../../../common/nats/bus.ts';
import { Dea } from './dea.ts';
import { Referee } from './referee.ts';
import type { Sent } from './sent.ts';

/** The referee itself: whatever is wrong it says, and nothing of what is right. */

let nowMs = 0;
let dea: Dea;
let other: Dea;
let app: Record<string, unknown> | undefined;
let referee: Referee;
let ids = 0;

beforeEach(() => {
  nowMs = 1_000_000;
  const bus = { connected: () => true, publish: () => undefined } as unknown as Bus;
  [dea, other] = ['dea-1', 'dea-2'].map(
    (name) => new Dea(name, { bus, nowMs: () => nowMs, newGuid: () => `g${++ids}` }),
  ) as [Dea, Dea];
  app = { state: 'STARTED', package_state: 'STAGED', instances: 2, version: 'v' };
  referee = new Referee({ nowMs: () => nowMs, dropletLostMs: 30_000, deas: [dea, other], app: () => app });
});

/** What it says of the message. */
function judged(
  kind: 'start' | 'stop',
  message: Record<string, unknown>,
  over: Partial<Sent> = {},
): string[] {
  const id = `id${++ids}`;
  const index = (message.indices as number[] | undefined)?.[0];
  const instance = Object.keys((message.instances as object | undefined) ?? {})[0];
  const sent = {
    kind,
    droplet: 'a',
    index,
    instance,
    reason: '',
    id,
    decision: id,
    at: 0,
    realMs: 0,
    text: '',
  };
  referee.check({ ...sent, message, ...over });
  return referee.faults.splice(0).map((fault) => fault.split(': {')[0] as string);
}

const start = (index: number, running: Record<string, number> = {}, version = 'v') =>
  judged('start', { droplet: 'a', last_updated: 1, version, indices: [index], running, flapping: false });
const stop = (guid: string, running: Record<string, number>, of = 'v', version: string | null = 'v') =>
  judged('stop', { droplet: 'a', last_updated: 1, instances: { [guid]: of }, running, version });

function heard(): void {
  for (const one of [dea, other]) {
    one.beat();
    one.settled(true);
  }
}

describe('a start', () => {
  test('of a slot that is empty is right', () => {
    expect(start(0)).toEqual([]);
  });

  test('of a slot that is live is not, until droplet_lost after it was heard', () => {
    const guid = dea.run('a', 0, 'v');
    heard();
    expect(start(0, { v: 1 })).toEqual([`start of a live slot (${guid})`]);
    dea.alive = false;
    nowMs += 30_000;
    expect(start(0, { v: 1 })).toContain(`start of a live slot (${guid})`);
    nowMs += 31_000;
    expect(start(0)).toEqual([]);
  });

  test('of a slot that runs on a DEA that did not fall silent is not, however long it was not heard', () => {
    const guid = dea.run('a', 0, 'v');
    heard();
    nowMs += 100_000;
    expect(start(0)).toEqual([`start of a slot that runs (${guid})`]);
  });

  test('of a slot whose instance exited is right', () => {
    const guid = dea.run('a', 0, 'v');
    heard();
    nowMs += 1;
    dea.end(guid, 'CRASHED');
    expect(start(0)).toEqual([]);
  });

  test.each([
    ['not STARTED', { state: 'STOPPED' }, 'not STARTED'],
    ['not the current version', { version: 'w' }, 'not the current version'],
    ['index out of range', { instances: 0 }, 'index out of range'],
  ])('that the controller refuses is not: %s', (_, change, says) => {
    app = { ...app, ...change };
    expect(start(0).join()).toContain(says);
  });

  test('with a wrong count is not', () => {
    dea.run('a', 1, 'v');
    dea.run('a', 1, 'w');
    heard();
    expect(start(0, { v: 1, w: 1 })).toEqual([]);
    nowMs += 31_000;
    heard();
    expect(start(0, { v: 1 })).toEqual(['running w: expected 1..1']);
    nowMs += 31_000;
    heard();
    expect(start(0, { v: 2, w: 1 }).join()).toContain('enough are running');
  });

  test('while another is on its way is not, unless an instance came up and ended', () => {
    expect(start(0)).toEqual([]);
    nowMs += 20_000;
    expect(start(0)).toEqual([expect.stringMatching(/^the start of .* is on its way/)]);
    const guid = dea.run('a', 0, 'v');
    heard();
    nowMs += 5_000;
    dea.end(guid, 'CRASHED');
    expect(start(0)).toEqual([]);
  });

  test('without its decision, sent twice, or of another form is not', () => {
    const message = {
      droplet: 'a',
      last_updated: 1,
      version: 'v',
      indices: [0],
      running: {},
      flapping: false,
    };
    expect(judged('start', message, { decision: 'x' })).toEqual(['the headers do not name the decision']);
    nowMs += 31_000;
    judged('start', message, { id: 'same', decision: 'same' });
    nowMs += 31_000;
    expect(judged('start', message, { id: 'same', decision: 'same' })).toEqual(['sent twice']);
    nowMs += 31_000;
    expect(judged('start', { ...message, more: 1 })).toEqual(['other keys than the contract has']);
    nowMs += 31_000;
    expect(judged('start', { ...message, indices: [0, 1] })).toEqual(['not one index']);
  });
});

describe('a stop', () => {
  test('of a surplus instance is right', () => {
    dea.run('a', 0, 'v');
    dea.run('a', 1, 'v');
    const guid = dea.run('a', 2, 'v');
    heard();
    expect(stop(guid, { v: 3 })).toEqual([]);
  });

  test('of a wanted RUNNING instance is not, unless a copy stays', () => {
    const guid = dea.run('a', 0, 'v');
    dea.run('a', 1, 'v');
    dea.run('a', 2, 'v');
    heard();
    expect(stop(guid, { v: 3 })).toEqual(['stop of a healthy instance']);
    other.run('a', 0, 'v');
    heard();
    expect(stop(guid, { v: 4 })).toEqual([]);
  });

  test('that would leave too few, or another version’s without the live one, is refused', () => {
    const guid = dea.run('a', 7, 'v');
    const old = dea.run('a', 0, 'w');
    dea.run('a', 1, 'v');
    heard();
    expect(stop(guid, { v: 2, w: 1 }).join()).toContain('too few would stay');
    expect(stop(old, { w: 1, v: 2 }, 'w')).toEqual([]);
    expect(stop(old, { w: 1 }, 'w').join()).toContain('the live version does not run');
  });

  test('of what nobody runs, of a crashed one, with a wrong version or count, is not', () => {
    const guid = dea.run('a', 2, 'v');
    const crashed = dea.run('a', 2, 'v', 'CRASHED');
    heard();
    app = { ...app, state: 'STOPPED' };
    expect(stop(guid, { v: 1 })).toEqual([]);
    expect(stop('nobody', { v: 2 }).join()).toContain('nobody ever ran');
    expect(stop(crashed, { v: 2 }).join()).toContain('crashed');
    expect(stop(guid, { w: 1, v: 1 }, 'w').join()).toContain('wrong version');
    expect(stop(guid, { v: 2 })).toEqual(['running v: expected 1..1']);
    app = undefined;
    expect(stop(guid, { v: 1 }, 'v', null)).toEqual([]);
    expect(stop(guid, { v: 1 }, 'v', 'v').join()).toContain('not the live version');
  });
});
