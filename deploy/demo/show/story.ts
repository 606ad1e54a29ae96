/**
 * The events of the demo as lines of text: the health manager's decisions, read from NATS, and their causes and
 * effects in the cloud.
 */
import type { NatsConnection } from 'nats';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { HEADERS, SUBJECTS } from '../../../common/messages/subjects.ts';
import type { Cloud, CloudEvent } from '../cloud/cloud.ts';
import type { App } from '../controller/apps.ts';
import { parseJson } from '../json.ts';
import type { Patience } from '../stage/config.ts';

export interface Line {
  at: Date;
  /** The health manager, the controller, a DEA, or the apps file. */
  source: string;
  text: string;
  /** Selects the colour. */
  kind: 'decision' | 'trouble' | 'effect';
}

const healthRequest = Compile(
  Type.Object({
    droplet: Type.String(),
    indices: Type.Optional(Type.Array(Type.Integer())),
    instances: Type.Optional(Type.Record(Type.String(), Type.String())),
  }),
);
const exited = Compile(
  Type.Object({
    droplet: Type.String(),
    index: Type.Integer(),
    reason: Type.String(),
    exit_status: Type.Union([Type.Integer(), Type.Null()]),
    exit_description: Type.String(),
  }),
);

/** Calls `onLine` for every event from now on. */
export function followStory(
  cloud: Pick<Cloud, 'deas' | 'apps' | 'events'>,
  nats: Pick<NatsConnection, 'subscribe'>,
  onLine: (line: Line) => void,
  patience: Pick<Patience, 'lost'>,
): void {
  const add = (source: string, kind: Line['kind'], text: string) =>
    onLine({ at: new Date(), source, kind, text });
  let apps = cloud.apps();
  const losses = new Losses();
  const lately = new Map<string, number>();
  /** The app, index and DEA of an instance; its guid when it is unknown. */
  const nameOf = (guid: string) => {
    for (const dea of cloud.deas()) {
      const found = dea.instances.find((instance) => instance.guid === guid);
      if (found) return `${found.droplet}/${found.index} on ${dea.name}`;
    }
    return guid;
  };

  for (const [subject, verb] of [
    [SUBJECTS.start, 'start'],
    [SUBJECTS.stop, 'stop'],
  ] as const) {
    nats.subscribe(subject, {
      callback: (error, message) => {
        const request = error === null ? parseJson(message.string()) : undefined;
        if (!healthRequest.Check(request)) return;
        const what = request.indices?.map((index) => `${request.droplet}/${index}`) ?? [];
        what.push(...Object.keys(request.instances ?? {}).map(nameOf));
        const reason = message.headers?.get(HEADERS.reason) || 'no reason given';
        add('health manager', 'decision', `${verb} ${what.join(', ')} (${reason})`);
      },
    });
  }
  nats.subscribe(SUBJECTS.exited, {
    callback: (error, message) => {
      const exit = error === null ? parseJson(message.string()) : undefined;
      if (!exited.Check(exit)) return;
      const how =
        exit.exit_description || (exit.exit_status === null ? '' : `exit status ${exit.exit_status}`);
      const kind = exit.reason === 'CRASHED' ? 'trouble' : 'effect';
      if (exit.reason !== 'STOPPED') losses.lost(`${exit.droplet}/${exit.index}`);
      add('DEA', kind, `${exit.droplet}/${exit.index} exited: ${exit.reason}${how && ` (${how})`}`);
    },
  });
  cloud.events.on('event', (event) => {
    if (event.type === 'apps') {
      for (const text of changes(apps, event.apps)) add('apps file', 'effect', text);
      apps = event.apps;
      return;
    }
    if (event.type === 'late') {
      const nowMs = performance.now();
      if (nowMs - (lately.get(event.dea.name) ?? Number.NEGATIVE_INFINITY) < SAY_LATE_MS) return;
      lately.set(event.dea.name, nowMs);
      add(event.dea.name, 'trouble', lateText(event.ms, patience));
      return;
    }
    if (event.type === 'dea' && event.dea.state === 'gone')
      for (const { droplet, index } of event.dea.instances) losses.lost(`${droplet}/${index}`);
    const line = describe(event, losses, patience);
    if (line) add(...line);
  });
}

/** A busy machine is named once in a while. */
const SAY_LATE_MS = 10_000;

/** What stood still is not the health manager's fault, and may look like a loss. */
function lateText(lateMs: number, { lost }: Pick<Patience, 'lost'>): string {
  const late = `its heartbeat is ${(lateMs / 1000).toFixed(1)} s late: this machine is busy, or the DEA was suspended`;
  return lateMs / 1000 < lost - 1 ? late : `${late}; after ${lost} s of silence it counts as lost`;
}

/** When each slot lost its instance. */
class Losses {
  readonly #sinceMs = new Map<string, number>();

  lost(slot: string): void {
    if (!this.#sinceMs.has(slot)) this.#sinceMs.set(slot, performance.now());
  }

  /** `, 4.3 s after it was lost`; empty if it was not. */
  healed(slot: string): string {
    const sinceMs = this.#sinceMs.get(slot);
    this.#sinceMs.delete(slot);
    return sinceMs === undefined
      ? ''
      : `, ${((performance.now() - sinceMs) / 1000).toFixed(1)} s after it was lost`;
  }
}

function describe(
  event: CloudEvent,
  losses: Losses,
  patience: Pick<Patience, 'lost'>,
): [source: string, kind: Line['kind'], text: string] | undefined {
  switch (event.type) {
    case 'file':
      return [
        'apps file',
        'trouble',
        `is invalid, the last valid one stays in force: ${event.problem.replaceAll('\n', '; ')}`,
      ];
    case 'start':
      if (event.refused === undefined) return undefined;
      return [
        'controller',
        'trouble',
        `refuses the start of ${event.droplet}/${event.index}: ${event.refused}`,
      ];
    case 'stop':
      if (event.refused === undefined) return undefined;
      return ['controller', 'trouble', `refuses a stop of ${event.droplet}: ${event.refused}`];
    case 'unplaced':
      return ['controller', 'trouble', `cannot place ${event.droplet}/${event.index}: ${event.why}`];
    case 'malformed':
      return ['controller', 'trouble', `cannot read a ${event.subject}: ${event.why}`];
    case 'dea':
      return [
        event.dea.name,
        event.dea.state === 'up' ? 'effect' : 'trouble',
        `is ${deaState(event, patience)}`,
      ];
    case 'instances':
      return newlyRunning(event, losses);
    default:
      return undefined;
  }
}

function deaState(
  { dea, killed }: Extract<CloudEvent, { type: 'dea' }>,
  { lost }: Pick<Patience, 'lost'>,
): string {
  const waits = `; the health manager waits ${lost} s for a heartbeat`;
  if (dea.state === 'gone') return killed === true ? `gone: it was killed${waits}` : 'gone';
  return dea.state === 'up' ? `up: pid ${dea.pid}` : dea.state;
}

function newlyRunning(
  { dea, before }: Extract<CloudEvent, { type: 'instances' }>,
  losses: Losses,
): ReturnType<typeof describe> {
  const was = new Map(before.map(({ guid, state }) => [guid, state]));
  const running = dea.instances.filter(
    ({ guid, state }) => state === 'RUNNING' && was.get(guid) !== 'RUNNING',
  );
  if (running.length === 0) return undefined;
  const names = running.map(
    ({ droplet, index, version, pid }) =>
      `${droplet}/${index} ${version} runs: pid ${pid}${losses.healed(`${droplet}/${index}`)}`,
  );
  return [dea.name, 'effect', names.join(', ')];
}

/** The user's changes since the file was last read. */
function changes(before: readonly App[], after: readonly App[]): string[] {
  const lines = after.flatMap((app) => {
    const old = before.find(({ name }) => name === app.name);
    if (old === undefined) return [`${app.name} is new: ${app.instances} of ${app.version}, ${app.state}`];
    const keys = ['state', 'instances', 'version', 'command', 'memoryMb'] as const;
    const changed = keys.filter((key) => old[key] !== app[key]);
    if (changed.length === 0) return [];
    return [`${app.name}: ${changed.map((key) => `${key} ${old[key]} -> ${app[key]}`).join(', ')}`];
  });
  const deleted = before.filter(({ name }) => !after.some((app) => app.name === name));
  return [...lines, ...deleted.map(({ name }) => `${name} is deleted`)];
}
