import { setTimeout as delay } from 'node:timers/promises';
import { ALL_IN_ONE, type ChildName, PROCESS_NAMES } from '../../../../run/launcher/child.ts';
import { PER_DEA } from '../../cloud/fleet.ts';
import { countTraffic } from '../../measure/redis-traffic.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import { differences, type RowGroup } from '../../results/row.ts';
import { bringUp, HEARTBEAT_MS, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';

const DEAS = 10;
/** Until what runs seldom is compiled, and the first audits are over. */
const SETTLE_S = { full: 60, quick: 20 };
const WINDOW_S = { full: 120, quick: 30 };

/** IDLE: one of each process with default intervals and a small cloud in which nothing happens: the fixed costs. */
export const idle: RowGroup = {
  rows: ['IDLE'],
  async run({ isQuick, signal, profile, progress }) {
    const size = isQuick ? 'quick' : 'full';
    const droplets = DEAS * PER_DEA;
    const stage = await startStage({ droplets, profile }, signal);
    try {
      progress(`bringing up ${DEAS} DEAs`);
      await stage.start('ingest');
      await bringUp(stage, droplets, { heartbeatMs: HEARTBEAT_MS, sync: true });
      for (const name of ['analyzer', 'nudger', 'reporter'] as const) await stage.start(name);
      await waitUntilNothingDue(stage);
      progress('nothing happens');
      const apart = await measure(stage, PROCESS_NAMES, size);
      progress('nothing happens in one Node process');
      for (const name of [...PROCESS_NAMES].reverse()) await stage.stop(name);
      await stage.start(ALL_IN_ONE);
      const together = await measure(stage, [ALL_IN_ONE], size);
      const requests = await stage.cloud.call('takeRequestCounts', {});
      const result = {
        run: `one of each process, ${DEAS} DEAs, ${droplets} apps of one instance`,
        figures: [
          { what: 'CPU of the five processes', value: apart.cores, unit: 'cores' },
          { what: 'memory of the five processes', value: apart.memoryMb, unit: 'MB' },
          ...[...PROCESS_NAMES, 'redis', 'nats'].map((name) => ({
            what: `CPU of ${name}`,
            value: apart.coresOf(name),
            unit: 'cores',
          })),
          { what: 'commands to Redis', value: apart.commands, unit: '/s' },
          { what: 'packets to Redis', value: apart.packets, unit: '/s' },
          { what: 'CPU in one Node process', value: together.cores, unit: 'cores', max: 0.02 },
          { what: 'memory in one Node process', value: together.memoryMb, unit: 'MB', max: 350 },
          { what: 'packets to Redis from one Node process', value: together.packets, unit: '/s' },
        ],
        wrong: differences(requests, { starts: 0, stops: 0 }),
      };
      return new Map([['IDLE', result]]);
    } finally {
      await stage.close();
    }
  },
};

/** CPU, memory and what Redis gets (a second) while nothing happens. */
async function measure(stage: Stage, children: readonly ChildName[], size: keyof typeof SETTLE_S) {
  await delay(SETTLE_S[size] * 1000);
  const meter = stage.meter();
  const traffic = await countTraffic(stage);
  await delay(WINDOW_S[size] * 1000);
  const { of, seconds } = meter.read();
  const { commands, packets } = await traffic();
  const coresOf = (name: string) => (of.get(name) ?? 0) / seconds;
  return {
    coresOf,
    cores: sum(children.map(coresOf)),
    memoryMb: sum(children.map((name) => memoryMbOf(stage.pids().get(name) ?? 0).nowMb)),
    commands: commands / seconds,
    packets: packets / seconds,
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
