import { beforeEach, describe, expect, test } from 'vitest';
import { Referee } from './referee.ts';
import { ScriptedDea } from './scripted-dea.ts';
import type { SentMessage } from './sent.ts';

/** The referee reports every wrong message and no right one. */

let nowMs = 0;
let dea: ScriptedDea;
let other: ScriptedDea;
let app: Record<string, unknown> | undefined;
let referee: Referee;
let ids = 0;

beforeEach(() => {
  nowMs = 1_000_000;
  [dea, other] = ['dea-1', 'dea-2'].map(
    (id) => new ScriptedDea({ id, publish: () => true, nowMs: () => nowMs, newGuid: () => `g${++ids}` }),
  ) as [ScriptedDea, ScriptedDea];
  app = { state: 'STARTED', package_state: 'STAGED', instances: 2, version: 'v' };
  referee = new Referee({ nowMs: () => nowMs, dropletLostMs: 30_000, deas: [dea, other], app: () => app });
});

/** The violations that the referee reports for the message. */
function check(
  kind: 'start' | 'stop',
  message: Record<string, unknown>,
  overrides: Partial<SentMessage> = {},
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
  referee.check({ ...sent, message, ...overrides });
  return referee.violations.splice(0).map((violation) => violation.split(': {')[0] as string);
}

const start = (index: number, running: Record<string, number> = {}, version = 'v') =>
  check('start', { droplet: 'a', last_updated: 1, version, indices: [index], running, flapping: false });
const stop = (guid: string, running: Record<string, number>, of = 'v', version: string | null = 'v') =>
  check('stop', { droplet: 'a', last_updated: 1, instances: { [guid]: of }, running, version });

function processHeartbeats(): void {
  for (const one of [dea, other]) {
    one.sendHeartbeat();
    one.markProcessed(true);
  }
}

describe('a start', () => {
  test('of an empty slot is right', () => {
    expect(start(0)).toEqual([]);
  });

  test('of a live slot is a violation until droplet_lost after the last heartbeat', () => {
    const guid = dea.run('a', 0, 'v');
    processHeartbeats();
    expect(start(0, { v: 1 })).toEqual([`start of a live slot (${guid})`]);
    dea.connected = false;
    nowMs += 30_000;
    expect(start(0, { v: 1 })).toContain(`start of a live slot (${guid})`);
    nowMs += 31_000;
    expect(start(0)).toEqual([]);
  });

  test('of a slot that runs on a connected DEA is a violation, even long after the last heartbeat', () => {
    const guid = dea.run('a', 0, 'v');
    processHeartbeats();
    nowMs += 100_000;
    expect(start(0)).toEqual([`start of a slot that runs (${guid})`]);
  });

  test('of a slot whose instance exited is right', () => {
    const guid = dea.run('a', 0, 'v');
    processHeartbeats();
    nowMs += 1;
    dea.end(guid, 'CRASHED');
    expect(start(0)).toEqual([]);
  });

  test.each([
    ['not STARTED', { state: 'STOPPED' }, 'not STARTED'],
    ['not the current version', { version: 'w' }, 'not the current version'],
    ['index out of range', { instances: 0 }, 'index out of range'],
  ])('that the controller refuses is a violation: %s', (_, change, violation) => {
    app = { ...app, ...change };
    expect(start(0).join()).toContain(violation);
  });

  test('with a wrong count is a violation', () => {
    dea.run('a', 1, 'v');
    dea.run('a', 1, 'w');
    processHeartbeats();
    expect(start(0, { v: 1, w: 1 })).toEqual([]);
    nowMs += 31_000;
    processHeartbeats();
    expect(start(0, { v: 1 })).toEqual(['running w: expected 1..1']);
    nowMs += 31_000;
    processHeartbeats();
    expect(start(0, { v: 2, w: 1 }).join()).toContain('enough are running');
  });

  test('while another start is on its way is a violation, unless an instance came up and ended', () => {
    expect(start(0)).toEqual([]);
    nowMs += 20_000;
    expect(start(0)).toEqual([expect.stringMatching(/^the start of .* is on its way/)]);
    const guid = dea.run('a', 0, 'v');
    processHeartbeats();
    nowMs += 5_000;
    dea.end(guid, 'CRASHED');
    expect(start(0)).toEqual([]);
  });

  test('without its decision, sent twice or in another form is a violation', () => {
    const message = {
      droplet: 'a',
      last_updated: 1,
      version: 'v',
      indices: [0],
      running: {},
      flapping: false,
    };
    expect(check('start', message, { decision: 'x' })).toEqual(['the headers do not name the decision']);
    nowMs += 31_000;
    check('start', message, { id: 'same', decision: 'same' });
    nowMs += 31_000;
    expect(check('start', message, { id: 'same', decision: 'same' })).toEqual(['sent twice']);
    nowMs += 31_000;
    expect(check('start', { ...message, more: 1 })).toEqual(['keys differ from the contract']);
    nowMs += 31_000;
    expect(check('start', { ...message, indices: [0, 1] })).toEqual(['not one index']);
  });
});

describe('a stop', () => {
  test('of a surplus instance is right', () => {
    dea.run('a', 0, 'v');
    dea.run('a', 1, 'v');
    const guid = dea.run('a', 2, 'v');
    processHeartbeats();
    expect(stop(guid, { v: 3 })).toEqual([]);
  });

  test('of a wanted RUNNING instance is a violation, unless a copy stays', () => {
    const guid = dea.run('a', 0, 'v');
    dea.run('a', 1, 'v');
    dea.run('a', 2, 'v');
    processHeartbeats();
    expect(stop(guid, { v: 3 })).toEqual(['stop of a healthy instance']);
    other.run('a', 0, 'v');
    processHeartbeats();
    expect(stop(guid, { v: 4 })).toEqual([]);
  });

  test('is refused if too few would stay, or if the live version does not run', () => {
    const guid = dea.run('a', 7, 'v');
    const old = dea.run('a', 0, 'w');
    dea.run('a', 1, 'v');
    processHeartbeats();
    expect(stop(guid, { v: 2, w: 1 }).join()).toContain('too few would stay');
    expect(stop(old, { w: 1, v: 2 }, 'w')).toEqual([]);
    expect(stop(old, { w: 1 }, 'w').join()).toContain('the live version does not run');
  });

  test('of an unknown or crashed instance, or with a wrong version or count, is a violation', () => {
    const guid = dea.run('a', 2, 'v');
    const crashed = dea.run('a', 2, 'v', 'CRASHED');
    processHeartbeats();
    app = { ...app, state: 'STOPPED' };
    expect(stop(guid, { v: 1 })).toEqual([]);
    expect(stop('nobody', { v: 2 }).join()).toContain('never ran');
    expect(stop(crashed, { v: 2 }).join()).toContain('crashed');
    expect(stop(guid, { w: 1, v: 1 }, 'w').join()).toContain('wrong version');
    expect(stop(guid, { v: 2 })).toEqual(['running v: expected 1..1']);
    app = undefined;
    expect(stop(guid, { v: 1 }, 'v', null)).toEqual([]);
    expect(stop(guid, { v: 1 }, 'v', 'v').join()).toContain('not the live version');
  });
});
