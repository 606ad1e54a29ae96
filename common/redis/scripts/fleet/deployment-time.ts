import type { ScriptAccess } from '../scripts.ts';

/** The time of the deployment (ms, with a fraction). @param knownMs what the caller measured before, so that it never goes back */
export async function deploymentTime(
  { scripts, keys }: ScriptAccess,
  { knownMs }: { knownMs?: number | undefined } = {},
): Promise<number> {
  return Number(await scripts.run('deployment_time', [keys.clock], [knownMs ?? '']));
}
