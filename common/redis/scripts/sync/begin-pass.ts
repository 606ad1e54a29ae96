import type { ScriptAccess } from '../scripts.ts';

/** Begins a pass of the bulk sync. @param owner the process that does it, for people @returns its number */
export async function beginPass(
  { scripts, keys }: ScriptAccess,
  { nowMs, owner }: { nowMs: number; owner: string },
): Promise<string> {
  return String(await scripts.run('begin_pass', [keys.syncState], [nowMs, owner]));
}
