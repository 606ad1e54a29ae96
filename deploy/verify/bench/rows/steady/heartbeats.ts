import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { CpuMeter, cpuOfAll } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { intakeSince, readIntake, stopHeartbeats, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';
import { STORED_WITHIN_S, waitForStoredFleet } from '../../stage/stored-fleet.ts';

/** P3: the intake of heartbeats, compared with a subscriber that discards the same heartbeats. */
export async function bareSubscriber(
  stage: Stage,
  droplets: number,
  { progress, windowS, heartbeatMs }: Context,
): Promise<RowResult> {
  progress('beside a subscriber that discards its messages');
  const deas = droplets / PER_DEA;
  const fleet = { deas, periodMs: heartbeatMs, changes: 0 };
  const subscriber = await stage.startSubscriber();
  await delay(windowS * 200); // until its code is compiled, as that of ingest is
  const before = await stopHeartbeats(stage);
  const { received: bareBefore } = await subscriber.call('count', {});
  const pids = new Map([
    ['ingest', stage.pids().get('ingest') as number],
    ['bare', subscriber.pid],
  ]);
  const meter = new CpuMeter(pids);
  await stage.cloud.call('sendHeartbeats', fleet);
  await delay(windowS * 1000);
  const after = await stopHeartbeats(stage);
  const { of } = meter.read();
  const { received: bare } = await subscriber.call('count', {});
  await subscriber.end();
  await stage.cloud.call('sendHeartbeats', fleet);
  const sent = after.sent - before.sent;
  const { received, equal } = intakeSince(after.intake, before.intake);
  const rateOf = (name: string) => (sent * PER_DEA) / (of.get(name) ?? 0);
  return {
    run: `${sent} equal heartbeats, each received by ingest and by a bare subscriber`,
    figures: [
      {
        what: 'rate of ingest, bare = 1',
        value: rateOf('ingest') / rateOf('bare'),
        unit: '',
        min: 0.6,
        ratio: true,
        guarded: true,
      },
      { what: 'instances a CPU s of ingest', value: rateOf('ingest'), unit: '/s' },
      { what: 'instances a CPU s of the bare one', value: rateOf('bare'), unit: '/s' },
    ],
    wrong: differences(
      { received, equal, bare: bare - bareBefore },
      { received: sent, equal: sent, bare: sent },
    ),
  };
}

/** The share of instances that change state in every heartbeat. */
const CHANGES = 0.05;
/** The heartbeat interval of the full fleet, which two cores can store; more load is another row (OVERLOAD). */
const FULL_PERIOD_MS = 25_000;

/** P2: instances change state in every heartbeat. */
export async function changing(
  stage: Stage,
  droplets: number,
  { progress, isQuick, windowS, heartbeatMs }: Context,
): Promise<RowResult> {
  progress(`${CHANGES * 100}% of the instances of every heartbeat change state`);
  const deas = droplets / PER_DEA;
  const periodMs = isQuick ? heartbeatMs : FULL_PERIOD_MS;
  const begun = await readIntake(stage);
  await stage.cloud.call('sendHeartbeats', { deas, periodMs, changes: CHANGES });
  // Two rounds, so that every heartbeat is encoded and the code is compiled.
  await delay(Math.max(2 * periodMs, 1_000));
  const before = await readIntake(stage);
  const meter = stage.meter();
  await delay(windowS * 1000);
  const { of } = meter.read();
  const end = await readIntake(stage);
  const { received, changed, coalesced, dropletsChanged } = intakeSince(end, before);
  const { sent, starting, intake } = await stopHeartbeats(stage);
  await stage.cloud.call('sendHeartbeats', { deas, periodMs: heartbeatMs, changes: 0 });
  const expected = { droplets, healthy: droplets, instances: droplets, starting };
  const wrong = await waitForStoredFleet(stage, expected, STORED_WITHIN_S);
  await waitUntilNothingDue(stage);
  const cpu = (...names: string[]) => names.reduce((sum, name) => sum + cpuOfAll(of, name), 0);
  const stored = (received - coalesced) * PER_DEA;
  return {
    run: `${droplets} instances on ${deas} DEAs, a heartbeat every ${periodMs / 1000} s, ${CHANGES * 100}% change every time`,
    figures: [
      {
        what: 'instances a CPU s of ingest and Redis',
        value: stored / cpu('ingest', 'redis'),
        unit: '/s',
        min: 150_000,
        ratio: true,
      },
      { what: 'instances a CPU s of ingest', value: stored / cpu('ingest'), unit: '/s' },
      { what: 'changes stored', value: dropletsChanged / windowS, unit: '/s' },
      { what: 'heartbeats replaced by newer ones', value: coalesced / received, unit: '' },
    ],
    wrong: [
      ...differences({ stored: intake.equal + intake.changed + intake.coalesced }, { stored: sent }),
      // A dropped heartbeat may hide two changes that cancel out, or the next one may have twice as many.
      ...(intakeSince(end, begun).coalesced > 0
        ? []
        : differences({ dropletsChanged }, { dropletsChanged: changed * PER_DEA * CHANGES })),
      ...wrong,
    ],
  };
}
