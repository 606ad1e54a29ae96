import { randomUUID } from 'node:crypto';
import type { Settings } from '../../common/config/settings.ts';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import type { Bus } from '../../common/nats/bus.ts';
import type { Clock } from '../../common/redis/clock.ts';

/** The public facts about this component, without its password. */
export interface ComponentFacts {
  type: 'HealthManager';
  index: number;
  uuid: string;
  /** `<ip>:<port>` of its HTTP server. */
  host: string;
  start: string;
  uptime: string;
}

/** This process as a component of the cloud (contract: component registration). */
export class Component {
  readonly #settings: Pick<Settings, 'index' | 'status'>;
  #host = '';
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #uuid: string;

  constructor(settings: Pick<Settings, 'index' | 'status'>, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#uuid = `${settings.index}-${randomUUID()}`;
  }

  /** @param host `<ip>:<port>` of its HTTP server, known only once that listens */
  setHost(host: string): void {
    this.#host = host;
  }

  facts(): ComponentFacts {
    return {
      type: 'HealthManager',
      index: this.#settings.index,
      uuid: this.#uuid,
      host: this.#host,
      start: startText(this.#startMs),
      uptime: uptimeText(this.#clock.nowMs() - this.#startMs),
    };
  }

  /** Announces this component and answers discovery requests. Every reporter is a component of its own. */
  register(bus: Bus): void {
    bus.subscribe(SUBJECTS.discover, {}, ({ reply }) => {
      if (reply !== undefined && reply !== '') bus.publish(reply, this.#registration());
    });
    bus.publish(SUBJECTS.announce, this.#registration());
  }

  /** With the credentials, which are needed to read `/varz`. */
  #registration(): string {
    const { user, password } = this.#settings.status;
    const { start, uptime, ...identity } = this.facts();
    return JSON.stringify({ ...identity, credentials: [user, password], start, uptime });
  }
}

/** As HM 2.0 wrote it: `2014-04-15 15:14:56 +0000`. */
function startText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} +0000`;
}

/** `0d:0h:0m:1s` */
export function uptimeText(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 86_400)}d:${Math.floor(s / 3_600) % 24}h:${Math.floor(s / 60) % 60}m:${s % 60}s`;
}
