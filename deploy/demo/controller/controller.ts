import { readFileSync } from 'node:fs';
import type { Msg, NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { bulkCredentialsSubject, SUBJECTS } from '../../../common/messages/subjects.ts';
import {
  type ControllerEvent,
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
  /** The interval of the DEAs' heartbeats. */
  heartbeatMs: number;
  /** Of the bulk API (default: any free port). */
  port?: number;
  log: Logger;
  onEvent(event: ControllerEvent): void;
}

export interface Controller {
  port: number;
  /** Refused starts and stops: counts by reason. */
  refusals: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** A live DEA answers at once; for a killed one NATS replies that there is no subscriber. */
const PLACE_TIMEOUT_MS = 1_000;
/** A DEA gets no starts when its last heartbeat is this many intervals old. */
const MISSED_HEARTBEATS = 2.5;

/**
 * A small cloud controller (CC). It serves the desired state, and carries out the starts and stops of the health
 * manager after checking them. It starts nothing on its own: when an app changes it publishes `droplet.updated`.
 *
 * @throws Error when the apps file cannot be read, or the port is not available
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { nats, partition, log, onEvent } = options;
  const catalogue = new Catalogue(parseApps(readFileSync(options.appsFile, 'utf8')));
  const placement = new Placement(MISSED_HEARTBEATS * options.heartbeatMs);
  const refusals = new Map<string, number>();
  const credentials = newCredentials();
  const bulkApi: BulkApi = await serveBulkApi({
    credentials,
    apps: () => catalogue.listed(),
    ...(options.port !== undefined && { port: options.port }),
  });

  /** Runs the handler for each message. An error rejects that message and is reported. */
  const on = (subject: string, handle: (message: Msg) => void | Promise<void>) => {
    nats.subscribe(subject, {
      callback: (error, message) => {
        Promise.resolve(error ?? message)
          .then((value) => (value instanceof Error ? Promise.reject(value) : handle(value)))
          .catch((reason: unknown) => {
            const why = reason instanceof Error ? reason.message : String(reason);
            log.warn({ subject, why }, 'message rejected');
            onEvent({ type: 'malformed', subject, why });
          });
      },
    });
  };
  const countRefusal = (what: string, why: string) => {
    refusals.set(why, (refusals.get(why) ?? 0) + 1);
    log.warn({ what, why, refusals: Object.fromEntries(refusals) }, 'refused');
  };

  async function place(request: PlaceRequest): Promise<void> {
    const { droplet, index } = request;
    for (const dea of placement.candidates(droplet)) {
      const token = `${droplet}/${index}`;
      placement.reserve(dea, token);
      const instance = await requestStart(dea, request);
      placement.confirm(dea, token, instance);
      if (instance === undefined) continue;
      onEvent({ type: 'placed', droplet, index, dea, instance });
      return;
    }
    log.warn({ droplet, index }, 'instance not placed');
    onEvent({ type: 'unplaced', droplet, index, why: 'no live DEA' });
  }

  /** @returns the new instance's guid; undefined when the DEA refused or did not answer */
  async function requestStart(dea: string, request: PlaceRequest): Promise<string | undefined> {
    try {
      const reply = await nats.request(placeSubject(dea), JSON.stringify(request), {
        timeout: PLACE_TIMEOUT_MS,
      });
      const answer = reply.json();
      if (placeReply.Check(answer) && 'instance' in answer) return answer.instance;
      placement.markFull(dea);
      log.info({ dea, answer }, 'start refused by DEA');
    } catch (error) {
      log.warn({ dea, why: error instanceof Error ? error.message : String(error) }, 'no answer from DEA');
    }
    return undefined;
  }

  on(SUBJECTS.heartbeat, (message) => placement.onHeartbeat(message.string()));
  on(SUBJECTS.shutdown, (message) => placement.onShutdown(message.string()));
  on(bulkCredentialsSubject(partition), (message) => void message.respond(JSON.stringify(credentials)));
  on(SUBJECTS.start, (message) => {
    const request = parseStart(message.string());
    const { droplet, version, flapping } = request;
    const app = catalogue.get(droplet);
    const why = refuseStart(app, request);
    for (const index of request.indices) {
      onEvent({
        type: 'start',
        droplet,
        version,
        index,
        flapping,
        ...(why !== undefined && { refused: why }),
      });
      if (why !== undefined) countRefusal(`start of ${droplet}/${index}`, why);
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
    onEvent({
      type: 'stop',
      droplet,
      instances,
      ...(app && { app }),
      ...(why !== undefined && { refused: why }),
    });
    if (why !== undefined) countRefusal(`stop of ${instances.length} of ${droplet}`, why);
    else nats.publish(STOP_SUBJECT, JSON.stringify({ instances }));
  });
  nats.publish(LOCATE_SUBJECT);
  await nats.flush();

  onEvent({ type: 'apps', apps: catalogue.apps(), changed: [] });
  const unwatch = watchApps({
    file: options.appsFile,
    onApps(apps) {
      const changed = catalogue.replace(apps);
      onEvent({ type: 'apps', apps, changed });
      for (const droplet of changed) {
        nats.publish(SUBJECTS.updated, JSON.stringify({ droplet, cc_partition: partition }));
      }
    },
    onProblem(problem) {
      log.error({ file: options.appsFile, problem }, 'apps file invalid; the last valid one stays in force');
      onEvent({ type: 'file', problem });
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

/** The apps with their ids and times of change. */
class Catalogue {
  readonly #listed = new Map<string, Listed>();
  #lastId = 0;

  constructor(apps: App[]) {
    this.replace(apps);
  }

  /** @returns the names of the apps that changed */
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
