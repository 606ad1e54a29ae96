/** Questions about what runs in the cloud, in truth: asked of the agents themselves, not of any health manager. */
import { processStart } from '../run/launcher/process-table.ts';
import type { AgentView } from './cloud.ts';
import type { App } from './controller/apps.ts';
import type { InstanceView } from './protocol.ts';

export interface Located extends InstanceView {
  agent: AgentView;
}

type Agents = readonly AgentView[];

/** All that is on agents that are there. */
export function instancesOf(agents: Agents): Located[] {
  return agents.flatMap((agent) => agent.instances.map((instance) => ({ ...instance, agent })));
}

/** The instances that are up, in order of index. */
export function runningOf(agents: Agents, droplet: string): Located[] {
  return instancesOf(agents)
    .filter((instance) => instance.droplet === droplet && instance.state === 'RUNNING')
    .sort((a, b) => a.index - b.index || a.version.localeCompare(b.version));
}

/** A wanted slot: started, the current version, an index in range. */
export function isWanted(
  app: App | undefined,
  { version, index }: { version: string; index: number },
): boolean {
  return app?.state === 'STARTED' && version === app.version && index < app.instances;
}

/** Whether there really is such a process (a zombie is none). */
export function isAlive(pid: number | undefined): boolean {
  return pid !== undefined && processStart(pid) !== undefined;
}

/** What is wanted and not so, or there and not wanted; empty: the cloud is as it should be. */
export function differences(apps: readonly App[], agents: Agents): string[] {
  return [
    ...apps.flatMap((app) => missingOf(app, runningOf(agents, app.name))),
    ...instancesOf(agents)
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
    const there = running.filter((instance) => instance.index === index && instance.version === app.version);
    if (there.length === 1) return [];
    return there.length === 0
      ? [`${app.name}/${index} is missing`]
      : [`${app.name}/${index} runs ${there.length} times`];
  }).flat();
}
