import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../demo/controller/apps.ts';
import type { DesiredApp } from './controller.ts';
import { ChaosDea, type TrueInstance } from './deas.ts';
import { NEVER_RELEASED, Referee, type Release } from './referee.ts';
import { Undisturbed } from './undisturbed.ts';

const TIMES = {
  dropletLostMs: 6_000,
  desiredStateLostMs: 12_000,
  desiredStateUpdateMs: 3_000,
  massLoss: { fraction: 0.55, minimumDeas: 3, holdMs: 30_000 },
};

let nowMs: number;
let undisturbed: Undisturbed;
let dea: ChaosDea;
let instances: TrueInstance[];
let desired: DesiredApp;
/** How many of ten DEAs have been silent since their last heartbeat at that time. */
let silent: { deas: number; lastHeartbeatMs: number };
let counted: number;
let lastRelease: Release;
let referee: Referee;
let sent: number;

beforeEach(() => {
  undisturbed = new Undisturbed();
  nowMs = performance.now() + 100_000;
  dea = new ChaosDea({ id: 'dea', publish: () => true, newGuid: () => 'i', nowS: () => 0 }, 0);
  const app: App = { name: 'web', command: '', instances: 2, state: 'STARTED', version: 'v', memoryMb: 64 };
  desired = { app, changedMs: nowMs - 50_000 };
  instances = [];
  silent = { deas: 0, lastHeartbeatMs: 0 };
  counted = 10;
  lastRelease = NEVER_RELEASED;
  sent = 0;
  referee = new Referee(
    {
      desired: () => desired,
      instances: () => instances,
      silentSince: (ms) => ({ silent: silent.lastHeartbeatMs <= ms ? silent.deas : 0, counted }),
      lastRelease: () => lastRelease,
      undisturbed,
      nowMs: () => nowMs,
    },
    TIMES,
  );
});

afterEach(() => undisturbed.stop());

/** An instance that every heartbeat has listed for `sinceMs`. */
function run(index: number, { sinceMs = 30_000, version = 'v', state = 'RUNNING' } = {}): TrueInstance {
  const instance: TrueInstance = {
    ...{ guid: `i${instances.length}`, droplet: 'web', version, index, state, sinceS: 0, dea },
    ...{ steadySinceMs: nowMs - sinceMs, lastListedMs: nowMs - 300 },
    ...(state === 'RUNNING' && { lastRunningMs: nowMs - 300 }),
  };
  instances.push(instance);
  return instance;
}

const start = (index: number, id = `d${++sent}`, reason = 'missing') =>
  referee.start(
    { droplet: 'web', last_updated: 0, version: 'v', indices: [index], running: { v: 1 }, flapping: false },
    id,
    reason,
  );
const stop = (guid: string, running: Record<string, number>, version = 'v', id = `d${++sent}`) =>
  referee.stop(
    { droplet: 'web', last_updated: 0, instances: { [guid]: version }, running, version: 'v' },
    id,
  );

/** A connection of a stopped nudger is released. */
const release = (releasedMs: number) => {
  lastRelease = { stalledMs: releasedMs - 1_000, releasedMs };
};
const disconnect = () => {
  dea.connected = false;
  dea.silentSinceDisconnect = true;
};

describe('a start', () => {
  test('of an empty slot is right', () => {
    run(1);
    expect(start(0)).toEqual({ verdict: 'right' });
  });

  test.each(['RUNNING', 'STARTING'])('of a slot whose instance is %s is wrong', (state) => {
    run(0, { state });
    expect(start(0)).toMatchObject({ verdict: 'wrong', why: `i0 is ${state} at index 0` });
  });

  test('of an instance that was just reported is wrong, unless a fault is on', () => {
    run(0, { sinceMs: 2_000 });
    expect(start(0).verdict).toBe('wrong');
    undisturbed.disturb();
    nowMs += 5_500; // the first start is not on its way any more
    (instances[0] as TrueInstance).steadySinceMs = nowMs - 2_000;
    expect(start(0).verdict).toBe('unknowable');
  });

  test('of an instance reported for droplet_lost is wrong even during a fault', () => {
    undisturbed.disturb();
    run(0, { sinceMs: 7_500 });
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance on a disconnected DEA is wrong until droplet_lost has passed', () => {
    const instance = run(0);
    disconnect();
    expect(start(0).verdict).toBe('wrong');
    instance.lastListedMs = nowMs - 6_000;
    nowMs += 5_600;
    expect(start(0).verdict).toBe('unknowable');
  });

  test('of an instance on a reconnected DEA is excused until its first heartbeat, if it was silent for droplet_lost', () => {
    const instance = run(0);
    disconnect();
    dea.connected = true;
    instance.lastListedMs = nowMs - 6_050;
    expect(start(0).verdict).toBe('unknowable');
    dea.silentSinceDisconnect = false;
    instance.lastListedMs = nowMs;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance on one of many DEAs that disconnected together is wrong', () => {
    run(0).lastListedMs = nowMs - 8_000;
    disconnect();
    silent = { deas: 5, lastHeartbeatMs: nowMs - 7_000 };
    expect(start(0).verdict).toBe('unknowable');
    silent.deas = 7;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance on one of many DEAs that disconnected together is excused once the hold is over', () => {
    run(0, { sinceMs: 90_000 }).lastListedMs = nowMs - 30_001;
    disconnect();
    silent = { deas: 9, lastHeartbeatMs: nowMs - 30_001 };
    expect(start(0).verdict).toBe('unknowable');
  });

  test('of an instance on one of few DEAs that disconnected together is excused if the hold needs more', () => {
    run(0).lastListedMs = nowMs - 8_000;
    disconnect();
    counted = 3;
    silent = { deas: 2, lastHeartbeatMs: nowMs - 7_000 };
    expect(start(0).verdict).toBe('unknowable');
  });

  test('of an instance on a DEA that disconnected some seconds before most others is excused, as they were not late yet', () => {
    run(0).lastListedMs = nowMs - 6_300;
    disconnect();
    silent = { deas: 7, lastHeartbeatMs: nowMs - 4_700 };
    expect(start(0).verdict).toBe('unknowable');
    silent.lastHeartbeatMs -= 200;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance that was not listed since Redis lost its data is excused, however many DEAs are disconnected', () => {
    const instance = run(0);
    disconnect();
    silent = { deas: 9, lastHeartbeatMs: nowMs - 12_000 };
    instance.lastListedMs = nowMs - 12_000;
    undisturbed.dataLostMs = nowMs - 9_000;
    expect(start(0).verdict).toBe('unknowable');
    undisturbed.dataLostMs = nowMs - 13_000;
    expect(start(0, 'again').verdict).toBe('wrong');
  });

  test('after Redis lost its data is excused until the instance was reported again', () => {
    run(0);
    undisturbed.disturb();
    undisturbed.dataLostMs = nowMs - 1_000;
    expect(start(0).verdict).toBe('unknowable');
    undisturbed.dataLostMs = nowMs - 8_000;
    nowMs += 6_000;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance that its DEA could not report while NATS was away is wrong until droplet_lost of listening time', () => {
    for (const index of [0, 1]) run(index).lastListedMs = nowMs - 60_000;
    disconnect();
    undisturbed.unheardSince('nats', nowMs - 58_000);
    undisturbed.heardAgain('nats', nowMs - 3_000);
    expect(start(0).verdict).toBe('wrong');
    nowMs += 600;
    expect(start(1).verdict).toBe('unknowable');
  });

  test('of an instance whose record was deleted is excused until droplet_lost has passed, and no other is', () => {
    const instance = run(0);
    undisturbed.recordLost('other');
    expect(start(0).verdict).toBe('wrong');
    undisturbed.recordLost('web');
    nowMs = performance.now() + 500;
    Object.assign(instance, { index: 1, steadySinceMs: nowMs - 30_000, lastListedMs: nowMs - 100 });
    expect(start(1).verdict).toBe('unknowable');
    nowMs += 7_100;
    instance.lastListedMs = nowMs - 100;
    expect(start(1).verdict).toBe('wrong');
  });

  test('of an instance that was renamed in place is wrong at once, unless a fault is on', () => {
    for (const index of [0, 1])
      Object.assign(run(index), { renamedMs: nowMs - 300, steadySinceMs: nowMs - 300 });
    expect(start(0).verdict).toBe('wrong');
    undisturbed.disturb();
    expect(start(1).verdict).toBe('unknowable');
  });

  test('of an instance that was renamed, and whose DEA was silent for droplet_lost since, is excused until it is reported again', () => {
    const instance = run(0, { sinceMs: 9_000 });
    Object.assign(instance, { renamedMs: nowMs - 8_000, steadySinceMs: nowMs - 100 });
    expect(start(0).verdict).toBe('unknowable');
    instance.renamedMs = nowMs - 5_900;
    expect(start(0, 'd-again').verdict).toBe('wrong');
  });

  test('while another start is on its way is wrong, unless the instance of that start has ended', () => {
    expect(start(0).verdict).toBe('right');
    nowMs += 2_500;
    expect(start(0)).toMatchObject({ verdict: 'wrong', why: expect.stringContaining('on its way') });
    nowMs += 1_000;
    run(0).endedMs = nowMs;
    nowMs += 100;
    expect(start(0).verdict).toBe('right');
  });

  test('beside a start that arrived late is excused, if the sender of that start was stopped', () => {
    release(nowMs - 300);
    expect(start(0).verdict).toBe('right');
    // Another connection is released after that.
    release(nowMs + 200);
    nowMs += 250;
    expect(start(0).verdict).toBe('unknowable');
    release(lastRelease.releasedMs - 1_000);
    nowMs += 250;
    expect(start(0).verdict).toBe('unknowable');
    nowMs += 250;
    expect(start(0).verdict).toBe('wrong');
    nowMs += 1_000;
    release(nowMs - 5);
    expect(start(0).verdict).toBe('unknowable');
  });

  test.each([
    ['excused if its instance was not known when that was stalled', 10_000, 5, 'unknowable'],
    ['wrong if its instance was known when that was stalled', 1_900, 5, 'wrong'],
    ['wrong if that was released long before', 10_000, 1_500, 'wrong'],
  ] as const)('that was on a stalled connection is %s', (_, stalledForMs, releasedForMs, verdict) => {
    undisturbed.disturb();
    run(0, { sinceMs: 9_000 });
    lastRelease = { stalledMs: nowMs - stalledForMs, releasedMs: nowMs - releasedForMs };
    expect(start(0).verdict).toBe(verdict);
  });

  test('that is sent twice is wrong', () => {
    start(0, 'same');
    nowMs += 60_000;
    expect(start(0, 'same').why).toContain('was sent before');
  });

  test('that the controller refuses is excused during a fault, unless desired_unavailable covers it', () => {
    desired.app.state = 'STOPPED';
    nowMs = performance.now();
    desired.changedMs = nowMs - 1;
    const end = undisturbed.disturb();
    nowMs += 16_000;
    expect(start(0, 'd1', 'evacuated').verdict).toBe('unknowable');
    expect(start(1, 'd2', 'missing').verdict).toBe('wrong');
    // On a server without headers it may be any.
    expect(start(2, 'd4', '').verdict).toBe('unknowable');
    end();
    nowMs += 16_000;
    expect(start(0, 'd3', 'evacuated').verdict).toBe('wrong');
  });

  test('that the controller refuses is excused until the next pass, if the change was not announced', () => {
    desired.app.version = 'next';
    desired.isUnannounced = true;
    desired.changedMs = nowMs - 5_000;
    expect(start(0, 'd1').verdict).toBe('unknowable');
    desired.isUnannounced = false;
    expect(start(1, 'd2').verdict).toBe('wrong');
    desired = { ...desired, isUnannounced: true, changedMs: nowMs - 6_000 };
    expect(start(1, 'd3').verdict).toBe('wrong');
  });

  test('that the controller refuses is wrong if the change of the app was known', () => {
    desired.app.state = 'STOPPED';
    expect(start(0)).toMatchObject({ verdict: 'wrong', refused: 'the app is not started' });
    desired.changedMs = nowMs - 100;
    expect(start(1).verdict).toBe('unknowable');
    undisturbed.disturb();
    desired.changedMs = nowMs - 10_000;
    expect(start(1).verdict).toBe('unknowable');
    desired.changedMs = nowMs - 16_000;
    expect(start(1).verdict).toBe('wrong');
  });
});

describe('a stop', () => {
  test('of a wanted instance is wrong, even if its counts are right', () => {
    const victim = run(0);
    run(1);
    expect(stop(victim.guid, { v: 3 })).toMatchObject({
      verdict: 'wrong',
      why: expect.stringContaining('wanted'),
    });
  });

  test('of a copy is right while the other one stays', () => {
    const [first, second] = [run(0), run(0)];
    run(1);
    expect(stop(first.guid, { v: 3 }).verdict).toBe('right');
    first.stopAcceptedMs = nowMs;
    expect(stop(second.guid, { v: 3 }).verdict).toBe('wrong');
    // The stop did not reach its DEA, so the instance goes on.
    nowMs += TIMES.dropletLostMs + 1;
    expect(stop(second.guid, { v: 3 }).verdict).toBe('right');
    first.endedMs = nowMs;
    expect(stop(second.guid, { v: 3 }).verdict).toBe('wrong');
  });

  test('of a copy is right if the other one just died, and wrong once the exit of that one was sent', () => {
    const [victim, other] = [run(0), run(0)];
    other.endedMs = nowMs - 200;
    expect(stop(victim.guid, { v: 3 }).verdict).toBe('right');
    // Redis may have lost something, but not of this app.
    undisturbed.dataLostMs = nowMs;
    expect(stop(victim.guid, { v: 3 }).verdict).toBe('right');
    other.exitSentMs = nowMs;
    nowMs += 2_000;
    expect(stop(victim.guid, { v: 3 }).verdict).toBe('wrong');
  });

  test('of a surplus index is right', () => {
    const extra = run(2);
    expect(stop(extra.guid, { v: 3 }).verdict).toBe('right');
  });

  test('of an old version is right only if the new one runs', () => {
    const old = run(0, { version: 'old' });
    expect(stop(old.guid, { v: 1, old: 1 }, 'old').verdict).toBe('wrong');
    run(0);
    expect(stop(old.guid, { v: 1, old: 1 }, 'old').verdict).toBe('right');
  });

  test('that the controller refuses is wrong', () => {
    const victim = run(0);
    expect(stop(victim.guid, { v: 2 })).toMatchObject({ verdict: 'wrong', refused: expect.any(String) });
  });

  test('of a deleted app is right', () => {
    desired.deletedMs = nowMs - 20_000;
    expect(stop(run(0).guid, { v: 1 }).verdict).toBe('right');
  });
});
