/** The events of `/api/live`, by name. Each has the JSON of one object as its data. */
import Type from 'typebox';
import { STOP_REASONS } from '../../../../common/model/reasons.ts';
import { TOTALS } from '../../../../common/redis/fleet/summary.ts';
import {
  Count,
  DeaState,
  EpochMs,
  Guid,
  HoldName,
  OPERATOR_HOLD,
  ProcessKind,
  SlotGroup,
  StoryUpdate,
  Text,
} from './parts.ts';

const { Optional } = Type;
const NEXT_STEPS = [
  'given_up',
  'dropped',
  'retry',
  'sent',
  'restart',
  'queued',
  'held',
  'grace',
  'soon',
  'no_nudger',
] as const;
const STATES = ['GIVEN UP', 'UNPLACED', 'FLAPPING', 'MISSING', 'HELD', 'PAUSED', 'EXPECTED'] as const;
const Ms = Type.Number({ minimum: 0, description: 'milliseconds' });
const All = Optional(Type.Literal(true, { description: 'the full state; else what has changed' }));
const Links = Type.Object({ app: Optional(Text), dea: Optional(Text), grafana: Optional(Text) });

const Hold = Type.Object({
  ...{ hold: HoldName, sinceMs: Optional(EpochMs), untilMs: Optional(EpochMs), droplets: Count },
  silentDeas: Optional(Count),
  takenOver: Optional(Type.Object({ ingestor: Text, host: Text, pid: Count })),
  ...{ releasable: Type.Boolean(), operatorHolds: Optional(Type.Array(OPERATOR_HOLD)) },
});

const Unknown = Type.Object({
  ...{ sinceMs: Optional(EpochMs), againSinceMs: Optional(EpochMs), knownAtMs: Optional(EpochMs) },
  ...{ ranThen: Optional(Count), cause: Text },
});

const Slots = Type.Object({
  ...{
    exact: Type.Boolean(),
    wanted: Count,
    running: Count,
    missing: Count,
    flapping: Count,
    unplaced: Count,
  },
  ...{ givenUp: Optional(Count), held: Optional(Count), paused: Optional(Count) },
  expected: Optional(Count),
});

const Process = Type.Object({
  ...{ kind: ProcessKind, host: Text, pid: Count, version: Text, sinceMs: EpochMs },
  ...{ lastWorkMs: Optional(EpochMs), lagMs: Ms, problemSinceMs: Optional(EpochMs) },
  problems: Optional(
    Type.Record(Type.String(), Type.String(), { description: 'what it waits for, by part' }),
  ),
});

const Queue = Type.Object({ waiting: Count, delayed: Count });

const Fleet = Type.Object({
  ...{ unknown: Optional(Unknown), slots: Slots, totals: Type.Record(Type.Enum(TOTALS), Count) },
  ...{ holds: Type.Array(Hold), deas: Type.Record(DeaState, Count), troubled: Count },
  processes: Type.Object({
    running: Type.Array(Process),
    kinds: Type.Array(
      Type.Object({ kind: ProcessKind, copies: Count, working: Count, noneSinceMs: Optional(EpochMs) }),
    ),
    versions: Type.Array(Text),
  }),
  queues: Type.Object({ starts: Queue, restarts: Queue, stops: Queue }),
  sync: Type.Object({ succeededMs: Optional(EpochMs), durationMs: Optional(Ms), listed: Optional(Count) }),
});

const SilentDea = Type.Object({
  ...{ dea: Guid, state: Type.Enum(['late', 'lost']), lastHeartbeatMs: EpochMs, instances: Count },
  missing: Type.Record(Type.Enum(NEXT_STEPS), Count, {
    description: 'its slots without an instance elsewhere, by next step',
  }),
  unread: Count,
});

const Troubled = Type.Object({
  ...{ droplet: Guid, wanted: Count, live: Count, missing: Count, groups: Type.Array(SlotGroup) },
  states: Type.Record(Type.Enum(STATES), Count),
  stops: Type.Array(Type.Object({ reason: Type.Enum(STOP_REASONS), count: Count, held: Optional(HoldName) })),
});

const Point = Type.Object({
  ...{ atMs: EpochMs, wanted: Count, running: Count, flapping: Count },
  holds: Optional(Type.Array(HoldName)),
});
const Points = Type.Object({ all: All, points: Type.Array(Point) });

export const LIVE_EVENTS = Type.Object(
  {
    hello: Type.Object({
      ...{ nowMs: EpochMs, dropletLostMs: Ms, dryRun: Type.Boolean(), mayAct: Type.Boolean() },
      links: Optional(Links),
    }),
    tick: Type.Object({ nowMs: EpochMs }),
    unavailable: Type.Object({ problem: Text }),
    fleet: Fleet,
    deas: Type.Object({
      all: All,
      cells: Type.Array(Type.Tuple([Guid, DeaState, Count]), { description: 'DEA, state, instances' }),
      gone: Type.Array(Guid),
    }),
    silent: Type.Object({ deas: Type.Array(SilentDea), more: Count }),
    troubled: Type.Object({ droplets: Type.Array(Troubled), count: Count }),
    story: Type.Object({
      all: All,
      lines: Type.Array(StoryUpdate, { description: 'oldest first: a stream goes on at its end' }),
    }),
    ...{ timeline: Points, day: Points },
  },
  { description: 'for each event of the stream, by its name, the JSON of its data' },
);
