import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { countTraffic } from '../../measure/redis-traffic.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import { differences, type RowGroup } from '../../results/row.ts';
import { bringUp, HEARTBEAT_MS, waitUntilNothingDue } from '../../stage/load-fleet.ts';
import { type Stage, startStage } from '../../stage/stage.ts';

const DEAS = 10;
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const;
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
      await delay(SETTLE_S[size] * 1000);
      progress('nothing happens');
      const meter = stage.meter();
      const traffic = await countTraffic(stage);
      await delay(WINDOW_S[size] * 1000);
      const { of, seconds } = meter.read();
      const { commands, packets } = await traffic();
      const cores = (name: string) => (of.get(name) ?? 0) / seconds;
      const requests = await stage.cloud.call('takeRequestCounts', {});
      const result = {
        run: `one of each process, ${DEAS} DEAs, ${droplets} apps of one instance`,
        figures: [
          { what: 'CPU of the five processes', value: sum(PROCESSES.map(cores)), unit: 'cores', max: 0.02 },
          { what: 'memory of the five processes', value: sum(memories(stage)), unit: 'MB', max: 350 },
          ...[...PROCESSES, 'redis', 'nats'].map((name) => ({
            what: `CPU of ${name}`,
            value: cores(name),
            unit: 'cores',
          })),
          { what: 'commands to Redis', value: commands / seconds, unit: '/s' },
          { what: 'packets to Redis', value: packets / seconds, unit: '/s' },
        ],
        wrong: differences(requests, { starts: 0, stops: 0 }),
      };
      return new Map([['IDLE', result]]);
    } finally {
      await stage.close();
    }
  },
};

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

const memories = (stage: Stage) => PROCESSES.map((name) => memoryMbOf(stage.pids().get(name) ?? 0).nowMb);
