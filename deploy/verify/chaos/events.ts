import type { Controller } from './controller.ts';
import type { Host, Hosts, TrueInstance } from './hosts.ts';
import type { Random } from './random.ts';
import { INSTANCES_AT_MOST } from './settings.ts';

interface World {
  hosts: Hosts;
  controller: Controller;
  random: Random;
}

type Event = (world: World) => void;

/** A dead host is replaced after so long. */
const NEW_HOST_MS: readonly [number, number] = [1_000, 6_000];
const EVACUATION_MS: readonly [number, number] = [3_000, 10_000];

/** Everything that happens in a cloud by itself. One that finds nothing to happen to does nothing. */
const EVENTS: Record<string, { weight: number; happen: Event }> = {
  'instance crashed': {
    weight: 8,
    happen: (world) => withInstance(world, (instance) => world.hosts.end(instance, 'CRASHED')),
  },
  'instance gone without a word': {
    weight: 4,
    happen: (world) =>
      withInstance(world, (instance) => world.hosts.end(instance, 'CRASHED', { silently: true })),
  },
  'app crashes again and again': {
    weight: 1,
    happen: (world) => {
      withInstance(world, ({ droplet, index }) => {
        for (let times = 0; times < 6; times++) {
          world.hosts.later(times * 1_500, () => {
            for (const instance of world.hosts.of(droplet)) {
              if (instance.index === index && !isCut(instance)) world.hosts.end(instance, 'CRASHED');
            }
          });
        }
      });
    },
  },
  'host died': {
    weight: 1,
    happen: (world) => withHost(world, (host) => replaced(world, () => world.hosts.die(host))),
  },
  'host shut down': {
    weight: 1,
    happen: (world) => withHost(world, (host) => replaced(world, () => world.hosts.shutDown(host))),
  },
  'host evacuated': {
    weight: 1,
    happen: (world) => {
      withHost(world, (host) => {
        world.hosts.evacuate(host);
        world.hosts.later(world.random.between(...EVACUATION_MS), () => {
          if (world.hosts.all.has(host)) replaced(world, () => world.hosts.shutDown(host));
        });
      });
    },
  },
  'host cut off': {
    weight: 2,
    happen: (world) => withHost(world, (host) => cutFor(world, host, world.random.between(1_000, 12_000))),
  },
  'most hosts cut off': {
    weight: 0.15,
    happen: (world) => {
      const ms = world.random.between(4_000, 12_000);
      const hosts = [...world.hosts.all];
      for (const host of world.random.some(hosts, Math.ceil(hosts.length * 0.7))) cutFor(world, host, ms);
    },
  },
  'app scaled': {
    weight: 3,
    happen: ({ controller, random }) =>
      change(controller, random, { instances: random.below(INSTANCES_AT_MOST + 1) }),
  },
  'app pushed': {
    weight: 2,
    happen: ({ controller, random }) => change(controller, random, { version: random.guid() }),
  },
  'app stopped': {
    weight: 1.5,
    happen: ({ controller, random }) => change(controller, random, { state: 'STOPPED' }),
  },
  'app started': {
    weight: 1.5,
    happen: ({ controller, random }) => {
      const stopped = controller.apps().filter(({ state }) => state === 'STOPPED');
      if (stopped.length > 0) controller.put(random.pick(stopped).name, { state: 'STARTED' });
    },
  },
  'app deleted': {
    weight: 0.7,
    happen: ({ controller, random }) => controller.delete(random.pick(controller.apps()).name),
  },
  'app created': {
    weight: 0.7,
    happen: ({ controller, random }) =>
      controller.put(random.guid(), { instances: 1 + random.below(INSTANCES_AT_MOST) }),
  },
};

const CHOICES = Object.entries(EVENTS).map(([value, { weight }]) => ({ weight, value }));
const OF_CONTROLLER: ReadonlySet<string> = new Set(
  Object.keys(EVENTS).filter((name) => name.startsWith('app ')),
);

/** Something happens. @returns what; undefined: nothing, as the controller is down and changes no app */
export function happen(world: World): string | undefined {
  const name = world.random.weighted(CHOICES);
  if (world.controller.down && OF_CONTROLLER.has(name)) return undefined;
  EVENTS[name]?.happen(world);
  return name;
}

const isCut = ({ host }: TrueInstance) => host.cutSinceMs !== undefined;

function withInstance({ hosts, random }: World, work: (instance: TrueInstance) => void): void {
  const host = random.pick([...hosts.all]);
  const running = [...host.instances.values()].filter(({ state }) => state === 'RUNNING');
  if (running.length > 0) work(random.pick(running));
}

function withHost({ hosts, random }: World, work: (host: Host) => void): void {
  const free = hosts.free();
  if (free.length > 0) work(random.pick(free));
}

function replaced({ hosts, random }: World, end: () => void): void {
  end();
  hosts.later(random.between(...NEW_HOST_MS), () => void hosts.add());
}

function cutFor({ hosts }: World, host: Host, ms: number): void {
  hosts.cut(host);
  hosts.later(ms, () => hosts.mend(host));
}

function change(controller: Controller, random: Random, to: Parameters<Controller['put']>[1]): void {
  controller.put(random.pick(controller.apps()).name, to);
}
