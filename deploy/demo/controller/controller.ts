import { readFileSync } from 'node:fs';
import type { Msg, NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import {
  type ControllerNews,
  LOCATE_SUBJECT,
  type PlaceRequest,
  placeReply,
  placeSubject,
  STOP_SUBJECT,
} from '../protocol.ts';
import { parseStart, parseStop, refuseStart, refuseStop } from './admission.ts';
import { type App, changedApps, parseApps, watchApps } from './apps.ts';
import { type BulkApi, type Listed, newCredentials, serveBulkApi } from './bulk-api.ts';
import { Placement } from './placement.ts';

export interface ControllerOptions {
  nats: NatsConnection;
  partition: string;
  appsFile: string;
  /** How often agents send heartbeats. */
  heartbeatMs: number;
  /** Of the bulk API; any free one when left out. */
  port?: number;
  log: Logger;
  onNews(news: ControllerNews): void;
}

export interface Controller {
  port: number;
  /** Why starts and stops were refused, and how often. */
  refusals: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** An agent that answers at all answers at once; one that was killed is known to NATS as gone. */
const PLACE_TIMEOUT_MS = 1_000;
/** An agent that missed this many heartbeats gets no starts. */
const MISSED_HEARTBEATS = 2.5;

/**
 * A small cloud controller (CC): it knows what is wanted, tells whoever asks, and does what a health manager
 * asks for after checking it. Healing is not its work: when an app changes it only says so.
 *
 * @throws Error when the apps file cannot be read at first, or the port not be listened on
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { nats, partition, log, onNews } = options;
  const catalogue = new Catalogue(parseApps(readFileSync(options.appsFile, 'utf8')));
  const placement = new Placement(MISSED_HEARTBEATS * options.heartbeatMs);
  const refusals = new Map<string, number>();
  const credentials = newCredentials();
  const bulkApi: BulkApi = await serveBulkApi({
    credentials,
    apps: () => catalogue.listed(),
    ...(options.port !== undefined && { port: options.port }),
  });

  /** Runs the handler for each message; what it throws is that message's problem, not the controller's. */
  const on = (subject: string, handle: (message: Msg) => void | Promise<void>) => {
    nats.subscribe(subject, {
      callback: (error, message) => {
        Promise.resolve(error ?? message)
          .then((value) => (value instanceof Error ? Promise.reject(value) : handle(value)))
          .catch((reason: unknown) => {
            const why = reason instanceof Error ? reason.message : String(reason);
            log.warn({ subject, why }, 'message rejected');
            onNews({ type: 'malformed', subject, why });
          });
      },
    });
  };
  const refused = (what: string, why: string) => {
    refusals.set(why, (refusals.get(why) ?? 0) + 1);
    log.warn({ what, why, refusals: Object.fromEntries(refusals) }, 'refused');
  };

  async function place(request: PlaceRequest): Promise<void> {
    const { droplet, index } = request;
    for (const agent of placement.candidates(droplet)) {
      const token = `${droplet}/${index}`;
      placement.place(agent, token);
      const instance = await ask(agent, request);
      placement.placed(agent, token, instance);
      if (instance === undefined) continue;
      onNews({ type: 'placed', droplet, index, agent, instance });
      return;
    }
    log.warn({ droplet, index }, 'no agent takes the instance');
    onNews({ type: 'unplaced', droplet, index, why: 'no living agent' });
  }

  /** @returns the new instance's guid; undefined: not taken */
  async function ask(agent: string, request: PlaceRequest): Promise<string | undefined> {
    try {
      const reply = await nats.request(placeSubject(agent), JSON.stringify(request), {
        timeout: PLACE_TIMEOUT_MS,
      });
      const answer = reply.json();
      if (placeReply.Check(answer) && 'instance' in answer) return answer.instance;
      placement.refuses(agent);
      log.info({ agent, answer }, 'agent takes no instance');
    } catch (error) {
      log.warn(
        { agent, why: error instanceof Error ? error.message : String(error) },
        'agent does not answer',
      );
    }
    return undefined;
  }

  on(SUBJECTS.heartbeat, (message) => placement.heard(message.string()));
  on(SUBJECTS.shutdown, (message) => placement.left(message.string()));
  on(bulkCredentialsSubject(partition), (message) => void message.respond(JSON.stringify(credentials)));
  on(SUBJECTS.start, (message) => {
    const request = parseStart(message.string());
    const { droplet, version, flapping } = request;
    const app = catalogue.get(droplet);
    const why = refuseStart(app, request);
    for (const index of request.indices) {
      onNews({
        type: 'start',
        droplet,
        version,
        index,
        flapping,
        ...(why !== undefined && { refused: why }),
      });
      if (why !== undefined) refused(`start of ${droplet}/${index}`, why);
    }
    if (why !== undefined || app === undefined) return;
    const starts = request.indices.map((index) => place({ droplet, version, index, command: app.command }));
    return Promise.all(starts).then(() => undefined);
  });
  on(SUBJECTS.stop, (message) => {
    const request = parseStop(message.string());
    const { droplet } = request;
    const app = catalogue.get(droplet);
    const instances = Object.keys(request.instances);
    const why = refuseStop(app, request);
    onNews({
      type: 'stop',
      droplet,
      instances,
      ...(app && { app }),
      ...(why !== undefined && { refused: why }),
    });
    if (why !== undefined) refused(`stop of ${instances.length} of ${droplet}`, why);
    else nats.publish(STOP_SUBJECT, JSON.stringify({ instances }));
  });
  nats.publish(LOCATE_SUBJECT);
  await nats.flush();

  onNews({ type: 'apps', apps: catalogue.apps(), changed: [] });
  const unwatch = watchApps({
    file: options.appsFile,
    onApps(apps) {
      const changed = catalogue.replace(apps);
      onNews({ type: 'apps', apps, changed });
      for (const droplet of changed) {
        nats.publish(SUBJECTS.updated, JSON.stringify({ droplet, cc_partition: partition }));
      }
    },
    onProblem(problem) {
      log.error({ file: options.appsFile, problem }, 'apps file does not fit; the last good one stands');
      onNews({ type: 'file', problem });
    },
  });
  return {
    port: bulkApi.port,
    refusals,
    async close() {
      unwatch();
      await bulkApi.close();
    },
  };
}

/** The apps with what the controller keeps of each. */
class Catalogue {
  readonly #listed = new Map<string, Listed>();
  #lastId = 0;

  constructor(apps: App[]) {
    this.replace(apps);
  }

  /** @returns names of what changed */
  replace(apps: App[]): string[] {
    const changed = changedApps(this.apps(), apps);
    for (const name of changed) {
      const app = apps.find((candidate) => candidate.name === name);
      if (app === undefined) this.#listed.delete(name);
      else
        this.#listed.set(name, {
          app,
          id: this.#listed.get(name)?.id ?? ++this.#lastId,
          updatedAt: new Date(),
        });
    }
    return changed;
  }

  get(name: string): App | undefined {
    return this.#listed.get(name)?.app;
  }

  listed(): Iterable<Listed> {
    return this.#listed.values();
  }

  apps(): App[] {
    return [...this.#listed.values()].map(({ app }) => app);
  }
}
