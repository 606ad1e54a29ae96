import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from '../json.ts';

/**
 * Which agents live and how much each has to do. The controller learns it from what any controller hears:
 * heartbeats and farewells.
 */
export class Placement {
  readonly #silentMs: number;
  readonly #nowMs: () => number;
  readonly #agents = new Map<string, Agent>();

  /** @param silentMs an agent unheard for longer gets no starts */
  constructor(silentMs: number, nowMs: () => number = () => performance.now()) {
    this.#silentMs = silentMs;
    this.#nowMs = nowMs;
  }

  /** A heartbeat; what is none is ignored, as agents of other makes may be on the bus. */
  heard(text: string): void {
    const beat = parseJson(text);
    if (!heartbeat.Check(beat)) return;
    const agent = this.#agents.get(beat.dea) ?? {
      lastHeartbeatMs: 0,
      full: false,
      listed: [],
      placed: new Map(),
    };
    agent.lastHeartbeatMs = this.#nowMs();
    agent.listed = beat.droplets.filter((entry) => ACTIVE.has(entry.state));
    const listed = new Set(beat.droplets.map((entry) => entry.instance));
    for (const [instance, at] of agent.placed) {
      if (listed.has(instance) || this.#nowMs() - at > this.#silentMs) agent.placed.delete(instance);
    }
    this.#agents.set(beat.dea, agent);
  }

  /** A `dea.shutdown`. */
  left(text: string): void {
    const message = parseJson(text);
    if (shutdown.Check(message)) this.#agents.delete(message.id);
  }

  /** The agent takes no starts any more, though it is still heard. */
  refuses(id: string): void {
    const agent = this.#agents.get(id);
    if (agent !== undefined) agent.full = true;
  }

  /** Living agents for one more instance of the droplet: the least loaded first. */
  candidates(droplet: string): string[] {
    const load = ([id, agent]: [string, Agent]) => ({
      id,
      load: agent.listed.length + agent.placed.size,
      same: agent.listed.filter((entry) => entry.droplet === droplet).length,
    });
    return [...this.#agents]
      .filter(([, agent]) => !agent.full && this.#nowMs() - agent.lastHeartbeatMs <= this.#silentMs)
      .map(load)
      .sort((a, b) => a.load - b.load || a.same - b.same || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id);
  }

  /** Something is about to be placed there; counts until it is listed, or not taken. */
  place(id: string, token: string): void {
    this.#agents.get(id)?.placed.set(token, this.#nowMs());
  }

  /** What became of `place`: the instance, or undefined: the agent did not take it. */
  placed(id: string, token: string, instance: string | undefined): void {
    const agent = this.#agents.get(id);
    if (agent === undefined) return;
    agent.placed.delete(token);
    const known = agent.listed.some((entry) => entry.instance === instance);
    if (instance !== undefined && !known) agent.placed.set(instance, this.#nowMs());
  }
}

interface Agent {
  lastHeartbeatMs: number;
  full: boolean;
  listed: { droplet: string; instance: string }[];
  /** Placed and not yet listed: when. */
  placed: Map<string, number>;
}

const ACTIVE = new Set(['STARTING', 'RUNNING', 'EVACUATING']);
const heartbeat = Compile(
  Type.Object({
    // It becomes part of a subject.
    dea: Type.String({ pattern: '^[A-Za-z0-9_-]+$' }),
    droplets: Type.Array(
      Type.Object({ droplet: Type.String(), instance: Type.String(), state: Type.String() }),
    ),
  }),
);
const shutdown = Compile(Type.Object({ id: Type.String() }));
