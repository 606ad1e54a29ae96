/** What the health manager of the demo reports about itself: read once a second from its reporter, as any script could. */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
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

/** What a new reading says about holds, as lines for the story. */
export function holdLines(
  before: ManagerView,
  now: ManagerView,
  patience: Pick<Patience, 'hold'>,
): { text: string; isOver: boolean }[] {
  const isOn = ({ holds }: ManagerView, name: string) => holds.some(({ hold }) => hold === name);
  const began = now.holds.filter(({ hold }) => !isOn(before, hold));
  const ended = before.holds.filter(({ hold }) => !isOn(now, hold));
  return [
    ...began.map((hold) => ({ text: beganText(hold, patience), isOver: false })),
    ...ended.map(({ hold }) => ({ text: `the hold ${hold} is over`, isOver: true })),
  ];
}

function beganText(
  { hold, held, deas, of }: ManagerView['holds'][number],
  patience: Pick<Patience, 'hold'>,
): string {
  const starts = held === 0 ? 'starts' : `${held} starts`;
  if (hold !== 'mass_loss') return `holds ${starts}: ${hold}`;
  return `holds ${starts}: mass_loss, ${deas} of ${of} DEAs went silent at once; ends in ${patience.hold} s, or ${HM} release mass_loss`;
}
