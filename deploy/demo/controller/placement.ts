import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { parseJson } from '../json.ts';

/**
 * The DEAs that accept starts and the load of each. A controller knows them only from their heartbeats and
 * `dea.shutdown` messages.
 */
export class Placement {
  readonly #maxSilenceMs: number;
  readonly #nowMs: () => number;
  readonly #deas = new Map<string, DeaLoad>();

  /** @param maxSilenceMs a DEA gets no starts when its last heartbeat is older */
  constructor(maxSilenceMs: number, nowMs: () => number = () => performance.now()) {
    this.#maxSilenceMs = maxSilenceMs;
    this.#nowMs = nowMs;
  }

  /** Handles a `dea.heartbeat`. Other messages are ignored, because DEAs of another kind may be on the bus. */
  onHeartbeat(text: string): void {
    const beat = parseJson(text);
    if (!heartbeat.Check(beat)) return;
    const dea = this.#deas.get(beat.dea) ?? {
      lastHeartbeatMs: 0,
      full: false,
      listed: [],
      placed: new Map(),
    };
    dea.lastHeartbeatMs = this.#nowMs();
    dea.listed = beat.droplets.filter((entry) => ACTIVE.has(entry.state));
    const listed = new Set(beat.droplets.map((entry) => entry.instance));
    for (const [instance, at] of dea.placed) {
      if (listed.has(instance) || this.#nowMs() - at > this.#maxSilenceMs) dea.placed.delete(instance);
    }
    this.#deas.set(beat.dea, dea);
  }

  /** Handles a `dea.shutdown`. */
  onShutdown(text: string): void {
    const message = parseJson(text);
    if (shutdown.Check(message)) this.#deas.delete(message.id);
  }

  /** The DEA refused a start; it gets no more, although it still sends heartbeats. */
  markFull(id: string): void {
    const dea = this.#deas.get(id);
    if (dea !== undefined) dea.full = true;
  }

  /** Live DEAs for one more instance of the droplet, the least loaded first. */
  candidates(droplet: string): string[] {
    const load = ([id, dea]: [string, DeaLoad]) => ({
      id,
      load: dea.listed.length + dea.placed.size,
      same: dea.listed.filter((entry) => entry.droplet === droplet).length,
    });
    return [...this.#deas]
      .filter(([, dea]) => !dea.full && this.#nowMs() - dea.lastHeartbeatMs <= this.#maxSilenceMs)
      .map(load)
      .sort((a, b) => a.load - b.load || a.same - b.same || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id);
  }

  /** Reserves a place before the start is requested. `confirm` ends the reservation. */
  reserve(id: string, token: string): void {
    this.#deas.get(id)?.placed.set(token, this.#nowMs());
  }

  /** @param instance counts until a heartbeat lists it; undefined when the DEA refused the start */
  confirm(id: string, token: string, instance: string | undefined): void {
    const dea = this.#deas.get(id);
    if (dea === undefined) return;
    dea.placed.delete(token);
    const known = dea.listed.some((entry) => entry.instance === instance);
    if (instance !== undefined && !known) dea.placed.set(instance, this.#nowMs());
  }
}

interface DeaLoad {
  lastHeartbeatMs: number;
  full: boolean;
  listed: { droplet: string; instance: string }[];
  /** Times (ms) at which instances were placed that no heartbeat has listed yet. */
  placed: Map<string, number>;
}

const ACTIVE = new Set(['STARTING', 'RUNNING', 'EVACUATING']);
const heartbeat = Compile(
  Type.Object({
    // The guid becomes part of a NATS subject.
    dea: Type.String({ pattern: '^[A-Za-z0-9_-]+$' }),
    droplets: Type.Array(
      Type.Object({ droplet: Type.String(), instance: Type.String(), state: Type.String() }),
    ),
  }),
);
const shutdown = Compile(Type.Object({ id: Type.String() }));
