import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../demo/controller/apps.ts';
import type { Host, TrueInstance } from './hosts.ts';
import { Referee } from './referee.ts';
import { Quiet } from './undisturbed.ts';

const TIMES = { dropletLostMs: 6_000, desiredStateLostMs: 12_000, massLossFraction: 0.55 };

let nowMs: number;
let quiet: Quiet;
let host: Host;
let instances: TrueInstance[];
let wish: { app: App; changedMs: number; goneMs?: number };
/** The share of hosts that were cut off with their last heartbeat at that time. */
let mostCut: { share: number; lastBeatMs: number };
let heldUpMs: number;
let referee: Referee;
let sent: number;

beforeEach(() => {
  quiet = new Quiet();
  nowMs = performance.now() + 100_000;
  host = { id: 'host', instances: new Map(), unheardSinceCut: false, evacuating: false, nextBeatMs: 0 };
  const app: App = { name: 'web', command: '', instances: 2, state: 'STARTED', version: 'v', memoryMb: 64 };
  wish = { app, changedMs: nowMs - 50_000 };
  instances = [];
  mostCut = { share: 0, lastBeatMs: 0 };
  heldUpMs = Number.NEGATIVE_INFINITY;
  sent = 0;
  referee = new Referee(
    {
      wish: () => wish,
      instances: () => instances,
      cutShareSince: (ms) => (mostCut.lastBeatMs <= ms ? mostCut.share : 0),
      heldUpMs: () => heldUpMs,
      quiet,
      nowMs: () => nowMs,
    },
    TIMES,
  );
});

afterEach(() => quiet.stop());

/** Runs, and was listed by every heartbeat for `sinceMs`. */
function runs(index: number, { sinceMs = 30_000, version = 'v', state = 'RUNNING' } = {}): TrueInstance {
  const instance: TrueInstance = {
    ...{ guid: `i${instances.length}`, droplet: 'web', version, index, state, sinceS: 0, host },
    ...{ steadySinceMs: nowMs - sinceMs, lastListedMs: nowMs - 300 },
    ...(state === 'RUNNING' && { lastRunningMs: nowMs - 300 }),
  };
  instances.push(instance);
  return instance;
}

const start = (index: number, id = `d${++sent}`) =>
  referee.start(
    { droplet: 'web', last_updated: 0, version: 'v', indices: [index], running: { v: 1 }, flapping: false },
    id,
  );
const stop = (guid: string, running: Record<string, number>, version = 'v', id = `d${++sent}`) =>
  referee.stop(
    { droplet: 'web', last_updated: 0, instances: { [guid]: version }, running, version: 'v' },
    id,
  );

const cutOff = (forMs: number) => {
  host.cutSinceMs = nowMs - forMs;
  host.unheardSinceCut = true;
};

describe('a start', () => {
  test('of an empty slot is right', () => {
    runs(1);
    expect(start(0)).toEqual({ verdict: 'right' });
  });

  test.each(['RUNNING', 'STARTING'])('of a slot whose instance is %s is wrong', (state) => {
    runs(0, { state });
    expect(start(0)).toMatchObject({ verdict: 'wrong', why: `i0 is ${state} at index 0` });
  });

  test('of an instance heard for a moment is wrong, unless a fault is on', () => {
    runs(0, { sinceMs: 2_000 });
    expect(start(0).verdict).toBe('wrong');
    quiet.disturb();
    nowMs += 5_500; // the slot has no start on its way any more
    (instances[0] as TrueInstance).steadySinceMs = nowMs - 2_000;
    expect(start(0).verdict).toBe('unknowable');
  });

  test('of an instance heard for droplet_lost is wrong whatever fault is on', () => {
    quiet.disturb();
    runs(0, { sinceMs: 7_500 });
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance on a host that has just been cut off is wrong; for droplet_lost, it is missing', () => {
    const instance = runs(0);
    cutOff(300);
    expect(start(0).verdict).toBe('wrong');
    instance.lastListedMs = nowMs - 6_000;
    nowMs += 5_600;
    expect(start(0).verdict).toBe('unknowable');
  });

  test('of an instance on a host that is back, but said nothing before it was silent for droplet_lost, is excused', () => {
    const instance = runs(0);
    cutOff(5_800);
    delete host.cutSinceMs;
    instance.lastListedMs = nowMs - 6_050;
    expect(start(0).verdict).toBe('unknowable');
    host.unheardSinceCut = false;
    instance.lastListedMs = nowMs;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of one of most hosts cut off together is wrong', () => {
    runs(0).lastListedMs = nowMs - 8_000;
    cutOff(8_000);
    mostCut = { share: 0.5, lastBeatMs: nowMs - 7_000 };
    expect(start(0).verdict).toBe('unknowable');
    mostCut.share = 0.7;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of one that was cut off some seconds before most others is right by the policy: they were not late yet', () => {
    runs(0).lastListedMs = nowMs - 6_300;
    cutOff(6_300);
    mostCut = { share: 0.7, lastBeatMs: nowMs - 4_700 };
    expect(start(0).verdict).toBe('unknowable');
    mostCut.lastBeatMs -= 200;
    expect(start(0).verdict).toBe('wrong');
  });

  test('of an instance that nobody has listed since Redis lost its data is excused, however many hosts are cut off', () => {
    const instance = runs(0);
    cutOff(12_000);
    mostCut = { share: 0.9, lastBeatMs: nowMs - 12_000 };
    instance.lastListedMs = nowMs - 12_000;
    quiet.forgottenMs = nowMs - 9_000;
    expect(start(0).verdict).toBe('unknowable');
    quiet.forgottenMs = nowMs - 13_000;
    expect(start(0, 'again').verdict).toBe('wrong');
  });

  test('after Redis lost its data is excused until all was heard anew', () => {
    runs(0);
    quiet.disturb();
    quiet.forgottenMs = nowMs - 1_000;
    expect(start(0).verdict).toBe('unknowable');
    quiet.forgottenMs = nowMs - 8_000;
    nowMs += 6_000;
    expect(start(0).verdict).toBe('wrong');
  });

  test('while another is on its way is wrong, unless its instance has ended', () => {
    expect(start(0).verdict).toBe('right');
    nowMs += 2_500;
    expect(start(0)).toMatchObject({ verdict: 'wrong', why: expect.stringContaining('on its way') });
    nowMs += 1_000;
    runs(0).endedMs = nowMs;
    nowMs += 100;
    expect(start(0).verdict).toBe('right');
  });

  test('while another one arrives that hung on its way is excused, if its sender stood still', () => {
    heldUpMs = nowMs - 300;
    expect(start(0).verdict).toBe('right');
    nowMs += 250;
    expect(start(0).verdict).toBe('unknowable');
    heldUpMs -= 1_000;
    nowMs += 250;
    expect(start(0).verdict).toBe('wrong');
    nowMs += 1_000;
    heldUpMs = nowMs - 5;
    expect(start(0).verdict).toBe('unknowable');
  });

  test('that leaves twice is wrong', () => {
    start(0, 'same');
    nowMs += 60_000;
    expect(start(0, 'same').why).toContain('was sent before');
  });

  test('that the controller refuses is wrong if the change could be known', () => {
    wish.app.state = 'STOPPED';
    expect(start(0)).toMatchObject({ verdict: 'wrong', refused: 'the app is not started' });
    wish.changedMs = nowMs - 100;
    expect(start(1).verdict).toBe('unknowable');
    quiet.disturb();
    wish.changedMs = nowMs - 10_000;
    expect(start(1).verdict).toBe('unknowable');
    wish.changedMs = nowMs - 16_000;
    expect(start(1).verdict).toBe('wrong');
  });
});

describe('a stop', () => {
  test('of a wanted instance is wrong, even if the counts in it look right', () => {
    const victim = runs(0);
    runs(1);
    expect(stop(victim.guid, { v: 3 })).toMatchObject({
      verdict: 'wrong',
      why: expect.stringContaining('wanted'),
    });
  });

  test('of a copy is right while the other stays', () => {
    const [first, second] = [runs(0), runs(0)];
    runs(1);
    expect(stop(first.guid, { v: 3 }).verdict).toBe('right');
    first.stopMs = nowMs;
    expect(stop(second.guid, { v: 3 }).verdict).toBe('wrong');
    // It never heard of it, and goes on.
    nowMs += TIMES.dropletLostMs + 1;
    expect(stop(second.guid, { v: 3 }).verdict).toBe('right');
    first.endedMs = nowMs;
    expect(stop(second.guid, { v: 3 }).verdict).toBe('wrong');
  });

  test('of a copy whose other one died unheard was right; once its end was told, wrong', () => {
    const [victim, other] = [runs(0), runs(0)];
    other.endedMs = nowMs - 200;
    expect(stop(victim.guid, { v: 3 }).verdict).toBe('right');
    other.exitSaidMs = nowMs;
    nowMs += 2_000;
    expect(stop(victim.guid, { v: 3 }).verdict).toBe('wrong');
  });

  test('of what is beyond the wanted indices is right', () => {
    const extra = runs(2);
    expect(stop(extra.guid, { v: 3 }).verdict).toBe('right');
  });

  test('of an old version is right only when the new one runs', () => {
    const old = runs(0, { version: 'old' });
    expect(stop(old.guid, { v: 1, old: 1 }, 'old').verdict).toBe('wrong');
    runs(0);
    expect(stop(old.guid, { v: 1, old: 1 }, 'old').verdict).toBe('right');
  });

  test('that the controller refuses is wrong', () => {
    const victim = runs(0);
    expect(stop(victim.guid, { v: 2 })).toMatchObject({ verdict: 'wrong', refused: expect.any(String) });
  });

  test('of a deleted app is right', () => {
    wish.goneMs = nowMs - 20_000;
    expect(stop(runs(0).guid, { v: 1 }).verdict).toBe('right');
  });
});
