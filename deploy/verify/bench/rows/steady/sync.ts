import { memoryMbOf } from '../../measure/usage.ts';
import type { Context, RowResult } from '../../results/row.ts';
import { lastPass, until } from '../../stage/load-fleet.ts';
import type { Stage } from '../../stage/stage.ts';

/** P7: the first pass, and a pass over unchanged droplets. */
export async function syncs(stage: Stage, droplets: number, { progress }: Context): Promise<RowResult> {
  progress('the first pass of the sync');
  await stage.start('sync');
  const meter = stage.meter('sync');
  await until('a complete pass', 300, async () => (await lastPass(stage)) !== undefined);
  // The CPU of the start counts only from the moment when the process is ready.
  const first = meter.read().total;
  const before = (await lastPass(stage))?.begunMs ?? 0;
  progress('a pass over unchanged droplets');
  await until('the next pass', 300, async () => ((await lastPass(stage))?.begunMs ?? 0) > before);
  const unchanged = meter.read().total;
  return {
    run: `bulk sync of ${droplets} droplets`,
    figures: [
      {
        what: 'first pass, droplets a CPU s of sync',
        value: droplets / first,
        unit: '/s',
        min: 60_000,
        ratio: true,
      },
      { what: 'unchanged', value: droplets / unchanged, unit: '/s', min: 200_000, ratio: true },
      {
        what: 'most memory of sync',
        value: memoryMbOf(stage.pids().get('sync') ?? 0).peakMb,
        unit: 'MB',
        max: 300,
      },
    ],
    wrong: [],
  };
}
