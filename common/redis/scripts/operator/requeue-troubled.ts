import type { ScriptAccess } from '../scripts.ts';

/** Makes every troubled droplet due: what an operator hold kept back is among them. @returns how many */
export async function requeueTroubled({ scripts, keys }: ScriptAccess, nowMs: number): Promise<number> {
  const slices = Array.from({ length: keys.slices }, (_, slice) => slice);
  const counts = await Promise.all(
    slices.map((slice) => scripts.run('requeue_troubled', [keys.troubled(slice), keys.due(slice)], [nowMs])),
  );
  return counts.reduce((sum: number, count) => sum + Number(count), 0);
}
