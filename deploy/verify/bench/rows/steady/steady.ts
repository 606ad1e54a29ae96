import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { CpuMeter, memoryMbOf } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { intakeSince, readIntake } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';

const ALL_CORES = 'CPU of all processes, share of a core';
const PROCESSES = ['ingest', 'sync', 'analyzer', 'nudger', 'reporter'] as const;

/** P1: the CPU of all processes while every heartbeat equals the one before. */
export async function steady(
  stage: Stage,
  droplets: number,
  { progress, steadyS, heartbeatMs }: Context,
): Promise<RowResult> {
  progress(`steady for ${steadyS} s`);
  const before = await readIntake(stage);
  const meter = stage.meter();
  await delay(steadyS * 1000);
  const { of, total, seconds } = meter.read();
  const { equal, changed } = intakeSince(await readIntake(stage), before);
  const instances = equal * PER_DEA;
  return {
    run: `${droplets} instances on ${droplets / PER_DEA} DEAs, a heartbeat every ${heartbeatMs / 1000} s, steady for ${steadyS} s`,
    figures: [
      { what: ALL_CORES, value: total / seconds, unit: 'cores' },
      {
        what: 'instances reported a CPU s of all processes',
        value: instances / total,
        unit: '/s',
        ratio: true,
      },
      ...[...of].map(([name, cpu]) => ({ what: `CPU of ${name}`, value: cpu / seconds, unit: 'cores' })),
    ],
    wrong: differences({ changed }, { changed: 0 }),
  };
}

/**
 * The other half of P1: the same stream of heartbeats with NATS and a subscriber that discards them, alone. It stops all processes.
 *
 * @param full P1 with everything, which gets the comparison
 */
export async function bareStream(
  stage: Stage,
  full: RowResult,
  { progress, steadyS }: Context,
): Promise<void> {
  progress(`NATS and a bare subscriber alone for ${steadyS} s`);
  for (const name of PROCESSES) await stopAll(stage, name);
  const subscriber = await stage.startSubscriber();
  await delay(steadyS * 200); // until its code is compiled
  const pids = new Map([
    ['nats', stage.pids().get('nats') as number],
    ['subscriber', subscriber.pid],
  ]);
  const { received: before } = await subscriber.call('count', {});
  const meter = new CpuMeter(pids);
  await delay(steadyS * 1000);
  const { total, seconds } = meter.read();
  const { received } = await subscriber.call('count', {});
  await subscriber.end();
  const bareCores = total / seconds;
  const cores = full.figures.find(({ what }) => what === ALL_CORES)?.value ?? Number.NaN;
  full.figures.unshift({
    what: 'CPU of all parts, NATS and a bare subscriber alone = 1',
    value: cores / bareCores,
    unit: '',
    max: 2,
    ratio: true,
  });
  full.figures.push({ what: 'CPU of NATS and a bare subscriber alone', value: bareCores, unit: 'cores' });
  full.wrong.push(...(received > before ? [] : ['the bare subscriber received nothing']));
}

async function stopAll(stage: Stage, name: (typeof PROCESSES)[number]): Promise<void> {
  while ([...stage.pids().keys()].some((key) => key.split(' ')[0] === name)) await stage.stop(name);
}

/** P9: the memory of Redis and of each process. */
export async function memory(stage: Stage, droplets: number, emptyBytes: number): Promise<RowResult> {
  const { used_memory: bytes } = await memoryOf(stage);
  const resident = PROCESSES.map((name) => ({
    what: `memory of ${name}`,
    value: memoryMbOf(stage.pids().get(name) ?? 0).nowMb,
    unit: 'MB',
    max: 250,
  }));
  return {
    run: `${droplets} droplets with one instance each`,
    figures: [
      {
        what: 'Redis, a droplet',
        value: (bytes - emptyBytes) / droplets,
        unit: 'bytes',
        max: 600,
        ratio: true,
      },
      ...resident,
    ],
    wrong: [],
  };
}

/** The memory of Redis (bytes). */
export async function memoryOf({ redis }: Stage): Promise<{ used_memory: number }> {
  const info = await redis.client.info('memory');
  return { used_memory: Number(/used_memory:(\d+)/.exec(info)?.[1]) };
}
