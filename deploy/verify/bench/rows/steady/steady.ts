import { setTimeout as delay } from 'node:timers/promises';
import { PER_DEA } from '../../cloud/fleet.ts';
import { memoryMbOf } from '../../measure/usage.ts';
import { type Context, differences, type RowResult } from '../../results/row.ts';
import { intakeSince, readIntake } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';

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
      { what: 'CPU of all processes, share of a core', value: total / seconds, unit: 'cores', max: 0.2 },
      {
        what: 'instances reported a CPU s of all processes',
        value: instances / total,
        unit: '/s',
        min: 500_000,
        ratio: true,
      },
      ...[...of].map(([name, cpu]) => ({ what: `CPU of ${name}`, value: cpu / seconds, unit: 'cores' })),
    ],
    wrong: differences({ changed }, { changed: 0 }),
  };
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
