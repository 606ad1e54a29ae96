/** What the health manager of the demo reports about itself: read once a second from its reporter, as any script could. */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { countText } from '../../../common/explain/wording.ts';
import type { Lifecycle } from '../../../common/runtime/lifecycle/lifecycle.ts';
import { PeriodicTask } from '../../../common/runtime/tasks/periodic-task.ts';
import { DEMO_LOGIN, type Patience } from '../stage/config.ts';
import { HM } from './hm-command.ts';

export interface ManagerView {
  /** Its headline; before it serves what it is doing. */
  text: string;
  level: 'unknown' | 'good' | 'warn' | 'bad';
  processes: readonly { kind: string; pid: number }[];
  /** The names of the holds that are on, with what they keep from being started. */
  holds: readonly { hold: string; held: number; deas: number; of: number }[];
}

export const STARTING: ManagerView = {
  ...{ level: 'unknown', processes: [], holds: [] },
  text: 'Redis, NATS, three DEAs and a controller run; the health manager starts',
};

const POLL_MS = 1_000;

const FLEET = Type.Object({
  status: Type.Object({ level: Type.Enum(['unknown', 'good', 'warn', 'bad']), text: Type.String() }),
  slots: Type.Object({ held: Type.Union([Type.Number(), Type.Null()]) }),
  holds: Type.Array(Type.Object({ hold: Type.String() })),
  deas: Type.Object({ alive: Type.Number(), late: Type.Number(), lost: Type.Number() }),
  processes: Type.Object({
    running: Type.Array(Type.Object({ kind: Type.String(), pid: Type.Integer() })),
  }),
});
const fleet = Compile(FLEET);

/** Calls `onView` with each reading. While the reporter does not answer the last one stays. */
export function followManager(
  statusPort: number,
  lifecycle: Lifecycle,
  onView: (view: ManagerView) => void,
): void {
  const { user, password } = DEMO_LOGIN;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const url = `http://127.0.0.1:${statusPort}/api/fleet`;
  const read = async () => {
    const reply = await fetch(url, {
      headers: { authorization },
      signal: AbortSignal.timeout(POLL_MS),
    }).catch(
      () => undefined, // it starts, or restarts
    );
    const body: unknown = reply?.ok ? await reply.json() : undefined;
    if (fleet.Check(body)) onView(viewOf(body));
  };
  const polls = new PeriodicTask(POLL_MS, read);
  lifecycle.onStop('readings of the reporter', () => polls.cancel());
}

function viewOf({ status, slots, holds, deas, processes }: Static<typeof FLEET>): ManagerView {
  const { alive, late, lost } = deas;
  return {
    ...status,
    processes: processes.running.map(({ kind, pid }) => ({ kind, pid })),
    holds: holds.map(({ hold }) => ({
      ...{ hold, held: slots.held ?? 0 },
      ...{ deas: late + lost, of: alive + late + lost },
    })),
  };
}

/** What the readings say about holds, as lines for the story. */
export class HoldStory {
  /** The holds that are on, and whether that was told. */
  readonly #told = new Map<string, boolean>();
  readonly #patience: Pick<Patience, 'hold'>;

  constructor(patience: Pick<Patience, 'hold'>) {
    this.#patience = patience;
  }

  /** A hold is told with its second reading: in the first one not all that it keeps back is counted yet. */
  read({ holds }: Pick<ManagerView, 'holds'>): { text: string; isOver: boolean }[] {
    const lines: { text: string; isOver: boolean }[] = [];
    for (const hold of holds) {
      const wasTold = this.#told.get(hold.hold);
      if (wasTold === false) lines.push({ text: beganText(hold, this.#patience), isOver: false });
      this.#told.set(hold.hold, wasTold !== undefined);
    }
    for (const [name, wasTold] of this.#told) {
      if (holds.some(({ hold }) => hold === name)) continue;
      this.#told.delete(name);
      if (wasTold) lines.push({ text: `the hold ${name} is over`, isOver: true });
    }
    return lines;
  }
}

function beganText(
  { hold, held, deas, of }: ManagerView['holds'][number],
  patience: Pick<Patience, 'hold'>,
): string {
  const starts = held === 0 ? 'starts' : countText(held, 'start');
  if (hold !== 'mass_loss') return `holds ${starts}: ${hold}`;
  return `holds ${starts}: mass_loss, ${deas} of ${of} DEAs went silent at once; ends in ${patience.hold} s, or ${HM} release mass_loss`;
}
