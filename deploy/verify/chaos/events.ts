import type { ChaosController } from './controller.ts';
import type { ChaosDea, Deas, TrueInstance } from './deas.ts';
import { lie } from './lies.ts';
import type { Random } from './random.ts';
import { MAX_INSTANCES } from './settings.ts';
import type { Undisturbed } from './undisturbed.ts';

export interface Cloud {
  deas: Deas;
  controller: ChaosController;
  random: Random;
  undisturbed: Undisturbed;
}

type Event = (cloud: Cloud) => void;

/** A dead DEA is replaced after this time. */
const REPLACEMENT_MS: readonly [number, number] = [1_000, 6_000];
const EVACUATION_MS: readonly [number, number] = [3_000, 10_000];

const BIG_APP_INSTANCES = 400;

/** Everything that happens in a cloud without a fault. An event without a suitable instance, DEA or app does nothing. */
const EVENTS: Record<string, { weight: number; trigger: Event }> = {
  'instance crashed': {
    weight: 8,
    trigger: (cloud) => withInstance(cloud, (instance) => cloud.deas.end(instance, 'CRASHED')),
  },
  'instance ended silently': {
    weight: 4,
    trigger: (cloud) =>
      withInstance(cloud, (instance) => cloud.deas.end(instance, 'CRASHED', { silently: true })),
  },
  'app crashes repeatedly': {
    weight: 1,
    trigger: (cloud) => {
      withInstance(cloud, ({ droplet, index }) => {
        for (let times = 0; times < 6; times++) {
          cloud.deas.later(times * 1_500, () => {
            for (const instance of cloud.deas.instancesOf(droplet)) {
              if (instance.index === index && instance.dea.connected) cloud.deas.end(instance, 'CRASHED');
            }
          });
        }
      });
    },
  },
  'DEA died': {
    weight: 1,
    trigger: (cloud) => withDea(cloud, (dea) => replace(cloud, () => cloud.deas.die(dea))),
  },
  'DEA shut down': {
    weight: 1,
    trigger: (cloud) => withDea(cloud, (dea) => replace(cloud, () => cloud.deas.shutDown(dea))),
  },
  'DEA evacuated': {
    weight: 1,
    trigger: (cloud) => {
      withDea(cloud, (dea) => {
        cloud.deas.evacuate(dea);
        cloud.deas.later(cloud.random.between(...EVACUATION_MS), () => {
          if (cloud.deas.all.has(dea)) replace(cloud, () => cloud.deas.shutDown(dea));
        });
      });
    },
  },
  'DEA disconnected': {
    weight: 2,
    trigger: (cloud) =>
      withDea(cloud, (dea) => disconnectFor(cloud, dea, cloud.random.between(1_000, 12_000))),
  },
  'most DEAs disconnected': {
    weight: 0.15,
    trigger: (cloud) => {
      const ms = cloud.random.between(4_000, 12_000);
      const deas = [...cloud.deas.all];
      for (const dea of cloud.random.sample(deas, Math.ceil(deas.length * 0.7)))
        disconnectFor(cloud, dea, ms);
    },
  },
  'app scaled': {
    weight: 3,
    trigger: ({ controller, random }) =>
      change(controller, random, { instances: random.below(MAX_INSTANCES + 1) }),
  },
  'app pushed': {
    weight: 2,
    trigger: ({ controller, random }) => change(controller, random, { version: random.guid() }),
  },
  'app stopped': {
    weight: 1.5,
    trigger: ({ controller, random }) => change(controller, random, { state: 'STOPPED' }),
  },
  'app started': {
    weight: 1.5,
    trigger: ({ controller, random }) => {
      const stopped = controller.apps().filter(({ state }) => state === 'STOPPED');
      if (stopped.length > 0) controller.put(random.pick(stopped).name, { state: 'STARTED' });
    },
  },
  'app of 400 instances started': {
    weight: 0.4,
    trigger: ({ controller, random }) => {
      const name = bigApp(controller)?.name ?? random.guid();
      controller.put(name, { instances: BIG_APP_INSTANCES, state: 'STARTED' });
    },
  },
  'app of 400 instances updated': {
    weight: 0.3,
    trigger: ({ controller, random }) => {
      const app = bigApp(controller);
      if (app?.state === 'STARTED') controller.put(app.name, { version: random.guid() });
    },
  },
  'app of 400 instances stopped': {
    weight: 0.4,
    trigger: ({ controller }) => {
      const app = bigApp(controller);
      if (app?.state === 'STARTED') controller.put(app.name, { state: 'STOPPED' });
    },
  },
  'route mapped': {
    weight: 1.5,
    trigger: ({ controller, random }) => controller.mapRoute(random.pick(controller.apps()).name),
  },
  'DEA lies': { weight: 1, trigger: lie },
  'app deleted': {
    weight: 0.7,
    trigger: ({ controller, random }) => controller.delete(random.pick(controller.apps()).name),
  },
  'app created': {
    weight: 0.7,
    trigger: ({ controller, random }) =>
      controller.put(random.guid(), { instances: 1 + random.below(MAX_INSTANCES) }),
  },
};

const CHOICES = Object.entries(EVENTS).map(([value, { weight }]) => ({ weight, value }));
const CONTROLLER_EVENTS: ReadonlySet<string> = new Set(
  Object.keys(EVENTS).filter((name) => name.startsWith('app ') || name === 'route mapped'),
);

/** Every kind of event. */
export const EVENT_KINDS: readonly string[] = Object.keys(EVENTS);

/** @returns the name of a random event, of one of `kinds` if there are any */
export function drawEvent(random: Random, kinds?: readonly string[]): string {
  return random.weighted(
    kinds === undefined ? CHOICES : CHOICES.filter(({ value }) => kinds.includes(value)),
  );
}

/**
 * Triggers an event; a random one if none is named.
 *
 * @returns its name; undefined if nothing happened, because the controller is down and changes no app
 */
export function triggerEvent(cloud: Cloud, name = drawEvent(cloud.random)): string | undefined {
  if (cloud.controller.down && CONTROLLER_EVENTS.has(name)) return undefined;
  EVENTS[name]?.trigger(cloud);
  return name;
}

/** There is at most one, so that the cloud does not grow. */
function bigApp(controller: ChaosController) {
  return controller.apps().find(({ instances }) => instances === BIG_APP_INSTANCES);
}

function withInstance({ deas, random }: Cloud, work: (instance: TrueInstance) => void): void {
  const dea = random.pick([...deas.all].filter(({ lies }) => !lies));
  const running = [...dea.listed.values()].filter(({ state }) => state === 'RUNNING');
  if (running.length > 0) work(random.pick(running));
}

function withDea({ deas, random }: Cloud, work: (dea: ChaosDea) => void): void {
  const available = deas.available();
  if (available.length > 0) work(random.pick(available));
}

function replace({ deas, random }: Cloud, end: () => void): void {
  end();
  deas.later(random.between(...REPLACEMENT_MS), () => void deas.add());
}

function disconnectFor({ deas }: Cloud, dea: ChaosDea, ms: number): void {
  deas.disconnect(dea);
  deas.later(ms, () => deas.reconnect(dea));
}

function change(
  controller: ChaosController,
  random: Random,
  to: Parameters<ChaosController['put']>[1],
): void {
  controller.put(random.pick(controller.apps()).name, to);
}
