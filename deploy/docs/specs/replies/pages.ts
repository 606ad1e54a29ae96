/** What the pages of the dashboard read. Times are epoch milliseconds, in fields named `...Ms`; in texts they are `\u0001<epoch ms>\u0001`. */
import Type from 'typebox';
import { LOG_KINDS } from '../../../../common/model/decision-log.ts';
import { HOLD_COVERS, OPERATOR_ACTS } from '../../../../common/model/operator-hold.ts';
import { EXIT_REASONS, START_REASONS, STOP_REASONS } from '../../../../common/model/reasons.ts';
import { APP_PROBLEMS } from '../../../../common/views/apps/app-list-types.ts';
import * as part from './parts.ts';

const { Optional } = Type;
const { Absent, Count, EpochMs, Guid, HoldName, Index, StoryUpdate, Text, Tone } = part;
const Place = Type.Object(part.PLACE_FIELDS);

const Trouble = Type.Object({
  ...{ droplet: Guid, wanted: Count, live: Count, missing: Count },
  groups: Type.Array(part.SlotGroup),
  states: Type.Object({
    ...{ 'GIVEN UP': Count, UNPLACED: Count, FLAPPING: Count, MISSING: Count, HELD: Count, PAUSED: Count },
    EXPECTED: Count,
  }),
  stops: Type.Array(Type.Object({ reason: Type.Enum(STOP_REASONS), count: Count, held: Optional(HoldName) })),
});

/** `/api/apps` */
export const APPS_REPLY = Type.Object({
  nowMs: EpochMs,
  apps: Type.Array(
    Type.Object({
      ...{ droplet: Guid, wanted: Count, live: Count, state: Optional(Text) },
      ...{ problems: Type.Array(Type.Enum(APP_PROBLEMS)), trouble: Optional(Trouble) },
    }),
  ),
  cursor: Optional(Type.String({ description: 'for the next page; absent: this is the last one' })),
});

/** `/api/stories/<guid>` */
export const STORY_REPLY = Type.Object({
  ...{ droplet: Guid, nowMs: EpochMs },
  record: Optional(
    Type.Object({
      ...{ firstSeenMs: EpochMs, desired: Optional(Text), version: Optional(Guid) },
      ...{ updatedMs: Optional(EpochMs), goneMs: Optional(EpochMs), wanted: Count, running: Count },
      slots: Type.Array(
        Type.Object({
          ...{ index: Index, state: Text, tone: Tone, text: Text, absent: Optional(Absent) },
          places: Type.Array(Place),
        }),
      ),
      moreSlots: Count,
      others: Type.Array(Type.Object({ place: Place, text: Text, tone: Tone })),
      holds: Type.Array(Type.Object({ hold: HoldName, text: Text })),
    }),
  ),
  story: Type.Array(Type.Object(part.STORY_FIELDS), { description: 'newest first' }),
  cut: Type.Boolean(),
});

/** `/api/deas/<guid>` */
export const DEA_REPLY = Type.Object({
  ...{ dea: Guid, nowMs: EpochMs, state: part.DeaState, lastHeartbeatMs: EpochMs },
  ...{ shutdownMs: Optional(EpochMs), instances: Count },
  places: Type.Array(
    Type.Object({
      ...part.PLACE_FIELDS,
      ...{ droplet: Guid, effective: Type.Enum(['STARTING', 'RUNNING', 'EVACUATING', 'NONE']) },
      ...{ elsewhere: Optional(Guid), absent: Optional(Absent) },
    }),
  ),
  unread: Count,
});

/** An entry of the decision log. */
export const LOG_ENTRY = Type.Object({
  ...{ atMs: EpochMs, droplet: Guid, kind: Type.Enum(LOG_KINDS), id: Optional(Text) },
  ...{ what: Optional(Type.Enum(['start', 'stop'])), index: Optional(Index), version: Optional(Guid) },
  reason: Optional(Type.Enum([...START_REASONS, ...STOP_REASONS])),
  ...{ instance: Optional(Guid), priority: Optional(part.Priority), dueMs: Optional(EpochMs) },
  ...{ crashes: Optional(Count), attempts: Optional(Count), hold: Optional(HoldName), why: Optional(Text) },
  ...{ exit: Optional(Type.Enum(EXIT_REASONS)), exitStatus: Optional(Type.Integer()) },
  ...{ exitDescription: Optional(Text), dea: Optional(Guid), state: Optional(Text) },
  ...{ lastHeartbeatMs: Optional(EpochMs), again: Optional(Type.Literal(true)), wanted: Optional(Count) },
  ...{ liveVersion: Optional(Guid), was: Optional(Text), is: Optional(Text), listedMs: Optional(EpochMs) },
  ...{ act: Optional(Type.Enum(OPERATOR_ACTS)), by: Optional(Text), note: Optional(Text) },
  ...{ holdId: Optional(Text), covers: Optional(Type.Enum(HOLD_COVERS)), untilMs: Optional(EpochMs) },
  ...{ indices: Optional(Type.Array(Index)), dryRun: Optional(Type.Literal(true)) },
});

/** `/api/decisions` */
export const DECISION_LINES = Type.Object({
  nowMs: EpochMs,
  lines: Type.Array(StoryUpdate, { description: 'newest first' }),
  ...{ read: Count, readFromMs: Optional(EpochMs), cursor: Optional(EpochMs) },
});
/** `/api/decisions?format=json` */
export const DECISION_ENTRIES = Type.Object({
  nowMs: EpochMs,
  entries: Type.Array(LOG_ENTRY),
  ...{ readFromMs: Optional(EpochMs), cursor: Optional(EpochMs) },
});
