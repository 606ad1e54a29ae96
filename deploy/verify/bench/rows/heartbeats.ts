import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../fleet.ts';
import { calm, hush, intakeSince, readIntake } from '../load-fleet.ts';
import { type Context, differences, type Measured } from '../row.ts';
import type { Stage } from '../stage.ts';
import { truthBecomes, WHOLE_WITHIN_S } from '../truth.ts';
import { CpuMeter } from '../usage.ts';

/** P3: the intake of heartbeats beside a subscriber that throws them away, over the same ones. */
export async function bareSubscriber(
  stage: Stage,
  droplets: number,
  { progress, windowS, heartbeatMs }: Context,
): Promise<Measured> {
  progress('beside a subscriber that throws its messages away');
  const deas = droplets / PER_DEA;
  const fleet = { deas, periodMs: heartbeatMs, changes: 0 };
  const subscriber = await stage.startSubscriber();
  await delay(windowS * 200); // until its code is compiled as well as that of ingest
  const before = await hush(stage);
  const { received: bareBefore } = await subscriber.ask('count', {});
  const pids = new Map([
    ['ingest', stage.pids().get('ingest') as number],
    ['bare', subscriber.pid],
  ]);
  const meter = new CpuMeter(pids);
  await stage.cloud.ask('beat', fleet);
  await delay(windowS * 1000);
  const after = await hush(stage);
  const { of } = meter.read();
  const { received: bare } = await subscriber.ask('count', {});
  await subscriber.end();
  await stage.cloud.ask('beat', fleet);
  const sent = after.sent - before.sent;
  const { received, equal } = intakeSince(after.intake, before.intake);
  const rateOf = (name: string) => (sent * PER_DEA) / (of.get(name) ?? 0);
  return {
    run: `${sent} equal heartbeats, each heard by ingest and by a bare subscriber`,
    figures: [
      {
        what: 'rate of ingest, bare = 1',
        value: rateOf('ingest') / rateOf('bare'),
        unit: '',
        least: 0.6,
        ratio: true,
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

/** Share of the instances of every heartbeat that change state. */
const CHANGES = 0.05;
/** Of the full fleet each DEA is heard so often: more than can be stored on two cores is another row (OVERLOAD). */
const FULL_PERIOD_MS = 25_000;

/** P2: every heartbeat brings something new. */
export async function changing(
  stage: Stage,
  droplets: number,
  { progress, scale, windowS, heartbeatMs }: Context,
): Promise<Measured> {
  progress(`${CHANGES * 100}% of the instances of every heartbeat change state`);
  const deas = droplets / PER_DEA;
  const periodMs = scale < 1 ? heartbeatMs : FULL_PERIOD_MS;
  const begun = await readIntake(stage);
  await stage.cloud.ask('beat', { deas, periodMs, changes: CHANGES });
  // Two rounds: the heartbeats are encoded, and the code is compiled.
  await delay(Math.max(2 * periodMs, 1_000));
  const before = await readIntake(stage);
  const meter = stage.meter();
  await delay(windowS * 1000);
  const { of } = meter.read();
  const end = await readIntake(stage);
  const { received, changed, overtaken, dropletsChanged } = intakeSince(end, before);
  const { sent, starting, intake } = await hush(stage);
  await stage.cloud.ask('beat', { deas, periodMs: heartbeatMs, changes: 0 });
  const whole = { droplets, whole: droplets, instances: droplets, starting };
  const wrong = await truthBecomes(stage, whole, WHOLE_WITHIN_S);
  await calm(stage);
  const cpu = (...names: string[]) => names.reduce((sum, name) => sum + (of.get(name) ?? 0), 0);
  const stored = (received - overtaken) * PER_DEA;
  return {
    run: `${droplets} instances on ${deas} DEAs, each heard every ${periodMs / 1000} s, ${CHANGES * 100}% change every time`,
    figures: [
      {
        what: 'instances a CPU s of ingest and Redis',
        value: stored / cpu('ingest', 'redis'),
        unit: '/s',
        least: 150_000,
        ratio: true,
      },
      { what: 'instances a CPU s of ingest', value: stored / cpu('ingest'), unit: '/s' },
      { what: 'changes stored', value: dropletsChanged / windowS, unit: '/s' },
      { what: 'heartbeats overtaken by newer ones', value: overtaken / received, unit: '' },
    ],
    wrong: [
      ...differences({ stored: intake.equal + intake.changed + intake.overtaken }, { stored: sent }),
      // What was overtaken may have brought an instance back to what is stored of it; or the one after it brings twice as much.
      ...(intakeSince(end, begun).overtaken > 0
        ? []
        : differences({ dropletsChanged }, { dropletsChanged: changed * PER_DEA * CHANGES })),
      ...wrong,
    ],
  };
}
