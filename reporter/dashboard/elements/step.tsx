/** Why a slot has no live instance, and what happens next. The times are updated every second. */
import { type Absent, attemptsText, type Step } from '../../../common/explain/present/step.ts';
import { dropText, formatDuration } from '../../../common/explain/wording.ts';
import type { HoldName } from '../../../common/model/reasons.ts';
import type { LastInstance } from '../../api/types.ts';
import { useNow } from './clock.ts';
import { DeaLink, Since, Until } from './text.tsx';

const CLASSES = {
  'GIVEN UP': 'tag bad',
  UNPLACED: 'tag bad',
  FLAPPING: 'tag warn',
  MISSING: 'tag bad',
} as const;

/** @param isPaused on purpose, so it is no alarm */
export function StateTag({ state, isPaused = false }: Pick<Absent, 'state'> & { isPaused?: boolean }) {
  return <span class={isPaused ? 'tag' : CLASSES[state]}>{state}</span>;
}

/** Why the slot has no live instance. */
export function Why({
  crashes,
  lastCrashMs,
  lastCrash,
  attempts,
  lastInstance,
}: Pick<Absent, 'crashes' | 'lastCrashMs' | 'lastCrash' | 'attempts'> & {
  lastInstance?: LastInstance | undefined;
}) {
  const now = useNow();
  if (crashes > 0) {
    const ago =
      lastCrashMs === undefined
        ? ''
        : ` ${formatDuration(Math.max(0, Math.ceil((now - lastCrashMs) / 1000) * 1000))} ago`;
    const cause = lastCrash === undefined ? '' : ` (${lastCrash})`;
    const last = `${crashes} crashes in a row${ago && `, the last${ago}`}${cause}`;
    return <>{crashes === 1 ? `crashed${cause}${ago}` : last}</>;
  }
  if (attempts !== undefined) return <>{attemptsText(attempts)}</>;
  if (lastInstance === undefined) return <>no instance is known</>;
  if (lastInstance.cause === 'ended') {
    return (
      <>
        ended on <DeaLink id={lastInstance.dea} /> <Since ms={lastInstance.lastHeartbeatMs} /> ago (
        {lastInstance.exit})
      </>
    );
  }
  if (lastInstance.deas !== undefined) {
    const some = `${lastInstance.deas} DEAs`;
    return (
      <>
        {lastInstance.cause === 'silent' ? `${some} silent for ` : `${some} no longer list them, last `}
        <Since ms={lastInstance.lastHeartbeatMs} />
      </>
    );
  }
  return lastInstance.cause === 'silent' ? (
    <>
      <DeaLink id={lastInstance.dea} /> silent for <Since ms={lastInstance.lastHeartbeatMs} />
    </>
  ) : (
    <>
      <DeaLink id={lastInstance.dea} /> no longer lists it, last <Since ms={lastInstance.lastHeartbeatMs} />{' '}
      ago
    </>
  );
}

/** What happens next, and when. */
export function Next({ step }: { step: Step }) {
  switch (step.kind) {
    case 'restart':
      return (
        <>
          restart <Until ms={step.dueMs} />
        </>
      );
    case 'sent':
      return (
        <>
          start sent <Since ms={step.atMs} /> ago, sent again <Until ms={step.retryAtMs} />
        </>
      );
    case 'queued':
      return (
        <>
          {step.noNudger ? 'start waits for a nudger for ' : 'start queued for '}
          <Since ms={step.sinceMs} />
        </>
      );
    case 'given_up':
    case 'retry':
      return (
        <>
          next try <Until ms={step.untilMs} />, or when the app is changed
        </>
      );
    case 'grace':
      return (
        <>
          started <Until ms={step.untilMs} />, if no heartbeat lists it
        </>
      );
    case 'held':
      return <HeldBy hold={step.hold} />;
    case 'dropped':
      return <>start dropped: {dropText(step.why)}; reconciled again</>;
    case 'soon':
      return <>about to be reconciled</>;
  }
}

export function HeldBy({ hold }: { hold: HoldName }) {
  return (
    <>
      held back: <span class="tag hold">{hold}</span>
    </>
  );
}
