import type { App } from '../../demo/controller/apps.ts';
import type { TrueInstance } from './deas.ts';

/**
 * Compares the instances that truly run with the controller's apps. There is no difference if exactly one RUNNING instance
 * of the live version has each wanted index, and nothing else runs.
 *
 * An app that is scaled to no instances before its new version has run keeps the old ones: the controller refuses to stop an instance of
 * another version while none of the live version runs.
 *
 * @returns one line for each missing or surplus instance
 */
export function differences(
  apps: ReadonlyMap<string, App>,
  droplets: Iterable<string>,
  instancesOf: (droplet: string) => readonly TrueInstance[],
): string[] {
  const found: string[] = [];
  for (const droplet of new Set([...apps.keys(), ...droplets])) {
    const app = apps.get(droplet);
    const wanted = app?.state === 'STARTED' ? app.instances : 0;
    const copies = new Array<number>(wanted).fill(0);
    const isOldKept = app?.state === 'STARTED' && wanted === 0;
    for (const { guid, version, index, state } of instancesOf(droplet)) {
      if (isOldKept && version !== app.version) continue;
      const isWanted = version === app?.version && index < wanted;
      if (isWanted && state === 'RUNNING') copies[index] = (copies[index] as number) + 1;
      else if (!isWanted || state !== 'STARTING')
        found.push(`${droplet}: ${guid} is surplus: index ${index} ${state}`);
    }
    copies.forEach((count, index) => {
      if (count !== 1) found.push(`${droplet}: index ${index}: expected 1 RUNNING instance, found ${count}`);
    });
  }
  return found;
}
