import { lastPass, until } from '../load-fleet.ts';
import type { Context, Measured } from '../row.ts';
import type { Stage } from '../stage.ts';
import { memoryMbOf } from '../usage.ts';

/** P7: the first pass, and one over the same. */
export async function syncs(stage: Stage, droplets: number, { progress }: Context): Promise<Measured> {
  progress('the first pass of the sync');
  await stage.start('sync');
  const meter = stage.meter('sync');
  await until('a complete pass', 300, async () => (await lastPass(stage)) !== undefined);
  // Its start is in it only as far as it came after it said that it serves.
  const first = meter.read().total;
  const before = (await lastPass(stage))?.begunMs ?? 0;
  progress('a pass that brings nothing new');
  await until('the next pass', 300, async () => ((await lastPass(stage))?.begunMs ?? 0) > before);
  const unchanged = meter.read().total;
  return {
    run: `bulk sync of ${droplets} droplets`,
    figures: [
      {
        what: 'first pass, droplets a CPU s of sync',
        value: droplets / first,
        unit: '/s',
        least: 60_000,
        ratio: true,
      },
      { what: 'unchanged', value: droplets / unchanged, unit: '/s', least: 200_000, ratio: true },
      {
        what: 'most memory of sync',
        value: memoryMbOf(stage.pids().get('sync') ?? 0).peakMb,
        unit: 'MB',
        most: 300,
      },
    ],
    wrong: [],
  };
}
