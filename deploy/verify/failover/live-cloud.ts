import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Bus } from '../../../common/nats/bus.ts';
import { type SentMessage, toSentMessage } from '../scenarios/sent.ts';
import type { SimulatedController } from '../sim/controller.ts';

interface Instance {
  guid: string;
  app: string;
  index: number;
  agent: Agent;
  /** The first heartbeat that listed it (ms); absent: none yet. */
  saidMs?: number;
}

interface Agent {
  dea: string;
  instances: Set<Instance>;
}

interface App {
  instances: number;
  /** When the controller last changed it (ms). */
  changedMs: number;
}

interface Options {
  bus: Bus;
  cc: SimulatedController;
  apps: number;
  agents: number;
  dropletLostMs: number;
}

/** Heartbeats are sent so often: the tests' `droplet_lost` is short. */
const BEAT_MS = 1_000;
const CRASH_EVERY_MS = 60;
const CHANGE_EVERY_MS = 400;
/** What was said this long ago must be known, also where Redis or NATS has just lost a server. */
const KNOWN_AFTER_MS = 2_500;

/**
 * A cloud in real time that does what it is asked, is never quiet (instances crash, apps are scaled), and knows what
 * must not be asked: a start of a slot whose instance runs and was reported, a second start of one slot while the first
 * is on its way, a stop of an instance that is wanted.
 */
export class LiveCloud {
  readonly faults: string[] = [];
  /** From each crash to its start (ms). */
  readonly waitsMs: number[] = [];
  readonly #options: Options;
  readonly #apps = new Map<string, App>();
  readonly #agents: Agent[];
  readonly #crashes = new Map<string, number>();
  /** Slot -> its latest start; removed by whatever happens at the slot. */
  readonly #asked = new Map<string, number>();
  #timers: NodeJS.Timeout[] = [];
  #load: NodeJS.Timeout[] = [];

  constructor(options: Options) {
    this.#options = options;
    this.#agents = Array.from({ length: options.agents }, (_, n) => ({
      dea: `dea-${n}`,
      instances: new Set<Instance>(),
    }));
    const { bus, cc } = options;
    bus.subscribe(bulkCredentialsSubject('default'), {}, (message) => message.respond(cc.credentials()));
    bus.subscribe(SUBJECTS.start, {}, (message) => this.#start(toSentMessage('start', message, 0)));
    bus.subscribe(SUBJECTS.stop, {}, (message) => this.#stop(toSentMessage('stop', message, 0)));
    bus.subscribe(SUBJECTS.healthmanagerStart, {}, () => {
      for (const agent of this.#agents) this.#beat(agent);
    });
    for (let n = 0; n < options.apps; n++) this.#desire(`app-${n}`, 2 + (n % 2));
  }

  /** Agents are heard from now on. */
  begin(): void {
    this.#agents.forEach((agent, n) => {
      const first = setTimeout(
        () => this.#timers.push(setInterval(() => this.#beat(agent), BEAT_MS)),
        (n * BEAT_MS) / this.#agents.length,
      );
      this.#timers.push(first);
    });
  }

  /** Instances crash and apps are scaled from now on. */
  disturb(): void {
    this.#load = [
      setInterval(() => this.#crashOne(), CRASH_EVERY_MS),
      setInterval(() => this.#changeOne(), CHANGE_EVERY_MS),
    ];
  }

  /** Nothing more happens by itself. */
  calm(): void {
    for (const timer of this.#load) clearInterval(timer);
  }

  end(): void {
    this.calm();
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Each app that is not as the controller wants it, in words; empty: each wanted slot runs once, and nothing else does. */
  wrong(): Map<string, string> {
    const wrong = new Map<string, string>();
    for (const [app, { instances }] of this.#apps) {
      const indices = this.#of(app)
        .map(({ index }) => index)
        .sort();
      const wanted = Array.from({ length: instances }, (_, index) => index);
      if (indices.join() !== wanted.join()) wrong.set(app, `${app}: runs ${indices}, wanted ${wanted}`);
    }
    return wrong;
  }

  /** @returns whether the cloud was healthy in time */
  async healthy(withinMs: number): Promise<boolean> {
    const giveUpMs = performance.now() + withinMs;
    while (this.wrong().size > 0) {
      if (performance.now() > giveUpMs) return false;
      await delay(20);
    }
    return true;
  }

  #desire(app: string, instances: number): void {
    this.#apps.set(app, { instances, changedMs: performance.now() });
    this.#options.cc.put(app, { instances });
    if (this.#options.bus.connected()) this.#say(SUBJECTS.updated, { droplet: app });
  }

  #changeOne(): void {
    const app = pick([...this.#apps.keys()]);
    if (app !== undefined) this.#desire(app, 1 + Math.floor(Math.random() * 4));
  }

  #crashOne(): void {
    const { bus } = this.#options;
    const known = this.#agents.flatMap(({ instances }) => [...instances]).filter(isKnown);
    const instance = pick(known);
    if (instance === undefined || !bus.connected()) return;
    this.#exit(instance, 'CRASHED');
    this.#crashes.set(slotOf(instance), performance.now());
  }

  #exit(instance: Instance, reason: string): void {
    const { app, guid, index } = instance;
    instance.agent.instances.delete(instance);
    this.#asked.delete(slotOf(instance));
    const exited = { droplet: app, version: `${app}-v1`, instance: guid, index, reason };
    if (this.#options.bus.connected())
      this.#say(SUBJECTS.exited, {
        ...exited,
        ...(reason === 'CRASHED' ? { crash_timestamp: Date.now() / 1000 } : {}),
      });
  }

  #beat({ dea, instances }: Agent): void {
    if (!this.#options.bus.connected()) return;
    const droplets = [...instances].map((instance) => {
      instance.saidMs ??= performance.now();
      const { app, guid, index } = instance;
      return {
        cc_partition: 'default',
        droplet: app,
        version: `${app}-v1`,
        instance: guid,
        index,
        state: 'RUNNING',
        state_timestamp: 1,
      };
    });
    this.#say(SUBJECTS.heartbeat, { droplets, dea });
  }

  #start({ droplet, index = -1, reason, id }: SentMessage): void {
    const nowMs = performance.now();
    const slot = `${droplet}/${index}`;
    const said = `start of ${slot} (${reason}, ${id})`;
    const there = this.#of(droplet).filter((instance) => instance.index === index);
    if (there.some(isKnown)) this.faults.push(`${said}: it runs, and that was reported`);
    const asked = this.#asked.get(slot);
    if (asked !== undefined && nowMs - asked < this.#options.dropletLostMs)
      this.faults.push(`${said}: asked ${Math.round(nowMs - asked)} ms before, and nothing happened since`);
    this.#asked.set(slot, nowMs);
    const crashed = this.#crashes.get(slot);
    if (crashed !== undefined) this.waitsMs.push(nowMs - crashed);
    this.#crashes.delete(slot);
    if (index >= (this.#apps.get(droplet)?.instances ?? 0)) return; // the controller refuses it
    const agent = [...this.#agents].sort((a, b) => a.instances.size - b.instances.size)[0] as Agent;
    agent.instances.add({ guid: randomUUID(), app: droplet, index, agent });
  }

  #stop({ droplet, instance: guid, reason, id }: SentMessage): void {
    const instance = this.#of(droplet).find((one) => one.guid === guid);
    if (instance === undefined) return;
    const { instances, changedMs } = this.#apps.get(droplet) as App;
    const others = this.#of(droplet).filter(({ index }) => index === instance.index).length - 1;
    if (instance.index < instances && others === 0) {
      // A change that has not been read yet makes it wrong without anybody's fault: the controller refuses it.
      if (performance.now() - changedMs > KNOWN_AFTER_MS)
        this.faults.push(`stop of ${droplet}/${instance.index} (${reason}, ${id}): it is wanted`);
      return;
    }
    this.#exit(instance, 'STOPPED');
  }

  #of(app: string): Instance[] {
    return this.#agents.flatMap(({ instances }) => [...instances]).filter((instance) => instance.app === app);
  }

  #say(subject: string, message: object): void {
    this.#options.bus.publish(subject, JSON.stringify({ cc_partition: 'default', ...message }));
  }
}

const slotOf = ({ app, index }: Instance) => `${app}/${index}`;

function isKnown({ saidMs }: Instance): boolean {
  return saidMs !== undefined && performance.now() - saidMs > KNOWN_AFTER_MS;
}

function pick<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)];
}
