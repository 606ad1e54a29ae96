/** The questions that controllers ask over NATS, and their answers (contract: replies of the reporter, hm9000's dialects). */
import type { ObservedDroplet } from '../../common/explain/observed-droplet.ts';
import type { Dialect } from '../../common/messages/dialects/dialects.ts';
import type { AppState } from '../../common/messages/dialects/hm9000.ts';
import {
  type AppRequest,
  parseAppState,
  parseAppStateBulk,
  parseDropletRequest,
  parseHealthRequest,
  parseStatusRequest,
  type Rejected,
  type StatusRequest,
} from '../../common/messages/incoming/incoming.ts';
import { SUBJECTS } from '../../common/messages/subjects.ts';
import type { Result } from '../../common/messages/validation.ts';
import type { Holds } from '../../common/model/droplet.ts';
import { crashesOf } from '../../common/policy/slots/crashes.ts';
import type { CounterName } from '../../common/redis/fleet/counters.ts';
import { appState } from '../../common/views/droplet/app-state.ts';
import {
  flappingIndices,
  type HealthView,
  healthyCount,
} from '../../common/views/droplet/droplet-answers.ts';
import { dropletJson } from '../../common/views/droplet/droplet-json.ts';

/** A reply, and the droplet that it is about (of a reply about several: the first). */
export interface Reply {
  droplet: string;
  answer: object;
}

/** What was read for a query. */
export interface Found {
  /** By position in `ids`; undefined: unknown or not readable. */
  views: readonly (ObservedDroplet | undefined)[];
  holds: Pick<Holds, 'actualNotFresh' | 'desiredUnavailable'>;
}

/** A valid query. */
interface AnyQuery {
  /** The droplets that it asks for. */
  ids: readonly string[];
  rejected: readonly Rejected[];
  /** It is answered even if it asks for nothing. */
  isAlwaysAnswered?: true;
}

/** A query that is answered from whole records. */
export interface RecordQuery extends AnyQuery {
  reads: 'records';
  /** One message each. None: the asker waits in vain, as with HM 2.0. */
  replies(found: Found): Reply[];
}

/** A query that needs no more than what health depends on. */
export interface HealthQuery extends AnyQuery {
  reads: 'health';
  /** @param views by position in `ids`; undefined: unknown or not readable */
  replies(views: readonly (HealthView | undefined)[]): Reply[];
}

export type Query = RecordQuery | HealthQuery;

export interface QueryKind {
  subject: string;
  counter: CounterName;
  parse(data: Uint8Array): Result<Query>;
}

/** HM 2.0's questions: a message for each known droplet, none for others. */
const HM2_KINDS: readonly QueryKind[] = [
  {
    subject: SUBJECTS.statusRequest,
    counter: 'healthmanager_status_msgs_received',
    parse: (data) =>
      mapOk(parseStatusRequest(data), (request) => ({
        reads: 'records',
        ids: [request.droplet],
        rejected: [],
        replies: eachKnown((view) => statusReply(view, request)),
      })),
  },
  {
    subject: SUBJECTS.healthRequest,
    counter: 'healthmanager_health_request_msgs_received',
    parse: (data) =>
      mapOk(parseHealthRequest(data), ({ droplets, rejected }) => {
        const asked = withoutRepeats(droplets);
        return {
          reads: 'health',
          ids: asked.map(({ droplet }) => droplet),
          rejected,
          replies: (views) =>
            repliesOf(views, (view, at) => {
              const version = asked[at]?.version ?? '';
              return { droplet: view.droplet.id, version, healthy: healthyCount(view, version) };
            }),
        };
      }),
  },
  {
    subject: SUBJECTS.dropletRequest,
    counter: 'healthmanager_droplet_request_msgs_received',
    parse: (data) =>
      mapOk(parseDropletRequest(data), ({ droplets, rejected }) => ({
        reads: 'records',
        ids: [...new Set(droplets)],
        rejected,
        replies: eachKnown(dropletJson),
      })),
  },
];

/** hm9000's questions: always one message, `{}` where nothing is known. */
const HM9000_KINDS: readonly QueryKind[] = [
  {
    subject: SUBJECTS.appState,
    counter: 'healthmanager_health_request_msgs_received',
    parse: (data) =>
      mapOk(parseAppState(data), (asked) => ({
        reads: 'records',
        ids: [asked.droplet],
        rejected: [],
        replies: (found) => [
          { droplet: asked.droplet, answer: appStates([asked], found).get(asked.droplet) ?? {} },
        ],
      })),
  },
  {
    subject: SUBJECTS.appStateBulk,
    counter: 'healthmanager_health_request_msgs_received',
    parse: (data) => mapOk(parseAppStateBulk(data), appStateQuery),
  },
];

/** The questions that a controller of this dialect asks over NATS. */
export function queryKindsOf(dialect: Dialect): readonly QueryKind[] {
  return dialect === 'hm9000-nats' ? [...HM2_KINDS, ...HM9000_KINDS] : HM2_KINDS;
}

/** A question about several apps, whose one reply is a map by guid. */
export function appStateQuery({
  droplets,
  rejected,
}: {
  droplets: AppRequest[];
  rejected: Rejected[];
}): RecordQuery {
  const asked = withoutRepeats(droplets);
  return {
    reads: 'records',
    ids: asked.map(({ droplet }) => droplet),
    rejected,
    isAlwaysAnswered: true,
    replies: (found) => [
      { droplet: asked[0]?.droplet ?? '', answer: Object.fromEntries(appStates(asked, found)) },
    ],
  };
}

/** Nothing while it is not known what runs or what is wanted: that controller takes an empty answer for unknown, and a zero for dead. */
function appStates(asked: readonly AppRequest[], { views, holds }: Found): Map<string, AppState> {
  const states = new Map<string, AppState>();
  if (holds.actualNotFresh || holds.desiredUnavailable) return states;
  asked.forEach(({ droplet, version }, at) => {
    const view = views[at];
    const state = view === undefined ? undefined : appState(view, version);
    if (state !== undefined) states.set(droplet, state);
  });
  return states;
}

function eachKnown(reply: (view: ObservedDroplet) => object): RecordQuery['replies'] {
  return ({ views }) => repliesOf(views, reply);
}

/** A reply for each known droplet. */
function repliesOf<V extends { droplet: { id: string } }>(
  views: readonly (V | undefined)[],
  reply: (view: V, at: number) => object,
): Reply[] {
  return views.flatMap((view, at) =>
    view === undefined ? [] : [{ droplet: view.droplet.id, answer: reply(view, at) }],
  );
}

/** Each droplet and version once: a query of 5,000 times one id must not cost 5,000 replies. */
function withoutRepeats(entries: readonly AppRequest[]): readonly AppRequest[] {
  if (new Set(entries.map(({ droplet }) => droplet)).size === entries.length) return entries;
  const byKey = new Map(entries.map((entry) => [JSON.stringify([entry.droplet, entry.version]), entry]));
  return [...byKey.values()];
}

function mapOk<A, B>(result: Result<A>, fn: (ok: A) => B): Result<B> {
  return 'ok' in result ? { ok: fn(result.ok) } : result;
}

function statusReply(view: ObservedDroplet, request: StatusRequest): object {
  if (request.state === 'FLAPPING') return { indices: flappingIndices(view, request.version) };
  const { droplet, deas, nowMs, settings } = view;
  const crashes = crashesOf(droplet, deas, nowMs, settings);
  return { instances: crashes.map(({ instance, sinceS }) => ({ instance, since: sinceS })) };
}
