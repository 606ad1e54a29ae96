/**
 * What happens, as lines for people: the decisions of the health manager as anyone on the bus can see them,
 * and their causes and effects in the cloud.
 */
import type { NatsConnection } from 'nats';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { HEADERS, SUBJECTS } from '../../common/messages/subjects.ts';
import type { Cloud, CloudEvent } from './cloud.ts';
import type { App } from './controller/apps.ts';
import { parseJson } from './json.ts';

export interface Line {
  at: Date;
  /** Who: the health manager, the controller, an agent, or the apps file. */
  who: string;
  text: string;
  /** For colours only. */
  kind: 'decision' | 'trouble' | 'effect';
}

const health = Compile(
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

/** Tells every line from now on. */
export function tellStory(
  cloud: Pick<Cloud, 'agents' | 'apps' | 'events'>,
  nats: Pick<NatsConnection, 'subscribe'>,
  tell: (line: Line) => void,
): void {
  const say = (who: string, kind: Line['kind'], text: string) => tell({ at: new Date(), who, kind, text });
  let apps = cloud.apps();
  /** Where an instance of a stop is, in words. */
  const nameOf = (guid: string) => {
    for (const agent of cloud.agents()) {
      const found = agent.instances.find((instance) => instance.guid === guid);
      if (found) return `${found.droplet}/${found.index} on ${agent.name}`;
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
        if (!health.Check(request)) return;
        const what = request.indices?.map((index) => `${request.droplet}/${index}`) ?? [];
        what.push(...Object.keys(request.instances ?? {}).map(nameOf));
        const reason = message.headers?.get(HEADERS.reason) || 'no reason given';
        say('health manager', 'decision', `${verb} ${what.join(', ')} (${reason})`);
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
      say('agent', kind, `${exit.droplet}/${exit.index} exited: ${exit.reason}${how && ` (${how})`}`);
    },
  });
  cloud.events.on('event', (event) => {
    if (event.type === 'apps') {
      for (const text of changes(apps, event.apps)) say('apps file', 'effect', text);
      apps = event.apps;
      return;
    }
    const line = describe(event);
    if (line) say(...line);
  });
}

function describe(event: CloudEvent): [who: string, kind: Line['kind'], text: string] | undefined {
  switch (event.type) {
    case 'file':
      return [
        'apps file',
        'trouble',
        `does not fit, the last good one stands: ${event.problem.replaceAll('\n', '; ')}`,
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
    case 'agent':
      return [event.agent.name, event.agent.state === 'up' ? 'effect' : 'trouble', `is ${agentState(event)}`];
    case 'instances':
      return cameUp(event);
    default:
      return undefined;
  }
}

function agentState({ agent, killed }: Extract<CloudEvent, { type: 'agent' }>): string {
  if (agent.state === 'gone') return killed === true ? 'gone: it was killed' : 'gone';
  return agent.state === 'up' ? `up: pid ${agent.pid}` : agent.state;
}

function cameUp({ agent, before }: Extract<CloudEvent, { type: 'instances' }>): ReturnType<typeof describe> {
  const was = new Map(before.map(({ guid, state }) => [guid, state]));
  const up = agent.instances.filter(({ guid, state }) => state === 'RUNNING' && was.get(guid) !== 'RUNNING');
  if (up.length === 0) return undefined;
  const names = up.map(
    ({ droplet, index, version, pid }) => `${droplet}/${index} ${version} runs: pid ${pid}`,
  );
  return [agent.name, 'effect', names.join(', ')];
}

/** The user's wishes since the file was last read. */
function changes(before: readonly App[], after: readonly App[]): string[] {
  const lines = after.flatMap((app) => {
    const old = before.find(({ name }) => name === app.name);
    if (old === undefined) return [`${app.name} is new: ${app.instances} of ${app.version}, ${app.state}`];
    const keys = ['state', 'instances', 'version', 'command', 'memoryMb'] as const;
    const changed = keys.filter((key) => old[key] !== app[key]);
    if (changed.length === 0) return [];
    return [`${app.name}: ${changed.map((key) => `${key} ${old[key]} -> ${app[key]}`).join(', ')}`];
  });
  const gone = before.filter(({ name }) => !after.some((app) => app.name === name));
  return [...lines, ...gone.map(({ name }) => `${name} is deleted`)];
}
