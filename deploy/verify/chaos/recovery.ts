import type { App } from '../../demo/controller/apps.ts';
import type { TrueInstance } from './hosts.ts';

/**
 * What is missing and what is surplus, by the truth: nothing if the cloud is as the controller wants it. Of each wanted
 * index exactly one instance of the live version runs, and nothing else does.
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
    for (const { guid, version, index, state } of instancesOf(droplet)) {
      const right = version === app?.version && index < wanted;
      if (right && state === 'RUNNING') copies[index] = (copies[index] as number) + 1;
      else if (!right || state !== 'STARTING')
        found.push(`${droplet}: ${guid} is surplus: index ${index} ${state}`);
    }
    copies.forEach((count, index) => {
      if (count !== 1) found.push(`${droplet}: index ${index}: expected 1 RUNNING instance, found ${count}`);
    });
  }
  return found;
}
