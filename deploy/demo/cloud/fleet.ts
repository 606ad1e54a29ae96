/** The actual state of the cloud, read from the DEAs themselves and not from the health manager. */

import type { App } from '../controller/apps.ts';
import type { InstanceView } from '../protocol.ts';
import type { DeaView } from './cloud.ts';

export interface Located extends InstanceView {
  dea: DeaView;
}

type Deas = readonly DeaView[];

/** All instances, each with its DEA. */
export function instancesOf(deas: Deas): Located[] {
  return deas.flatMap((dea) => dea.instances.map((instance) => ({ ...instance, dea })));
}

/** The RUNNING instances of an app, by index. */
export function runningOf(deas: Deas, droplet: string): Located[] {
  return instancesOf(deas)
    .filter((instance) => instance.droplet === droplet && instance.state === 'RUNNING')
    .sort((a, b) => a.index - b.index || a.version.localeCompare(b.version));
}

/** Whether a slot is wanted: the app is started, the version is current and the index in range. */
export function isWanted(
  app: App | undefined,
  { version, index }: { version: string; index: number },
): boolean {
  return app?.state === 'STARTED' && version === app.version && index < app.instances;
}

/** The differences between desired and actual state, as text; empty when there is none. */
export function differences(apps: readonly App[], deas: Deas): string[] {
  return [
    ...apps.flatMap((app) => missingOf(app, runningOf(deas, app.name))),
    ...instancesOf(deas)
      .filter(
        ({ state }) =>
          state === 'STARTING' || state === 'RUNNING' || state === 'EVACUATING' || state === 'STOPPING',
      )
      .filter(
        (instance) =>
          !isWanted(
            apps.find((app) => app.name === instance.droplet),
            instance,
          ),
      )
      .map(({ droplet, index, version, state }) => `${droplet}/${index} of ${version} is still ${state}`),
  ];
}

function missingOf(app: App, running: Located[]): string[] {
  if (app.state !== 'STARTED') return [];
  return Array.from({ length: app.instances }, (_, index) => {
    const found = running.filter((instance) => instance.index === index && instance.version === app.version);
    if (found.length === 1) return [];
    return found.length === 0
      ? [`${app.name}/${index} is missing`]
      : [`${app.name}/${index} runs ${found.length} times`];
  }).flat();
}
