/** Why a slot is empty, and what happens next: live, by the second. */

import type { Absent, Step } from '../../../common/explain/step.ts';
import { dropText, inWords } from '../../../common/explain/wording.ts';
import type { HoldName } from '../../../common/model/droplet.ts';
import type { Was } from '../../api/types.ts';
import { useNow } from './clock.ts';
import { DeaLink, Since, Until } from './text.tsx';

const CLASSES = { 'GIVEN UP': 'tag bad', FLAPPING: 'tag warn', MISSING: 'tag bad' } as const;

export function StateTag({ state }: Pick<Absent, 'state'>) {
  return <span class={CLASSES[state]}>{state}</span>;
}

/** Why: how it was lost. */
export function Why({
  crashes,
  lastCrashMs,
  was,
}: Pick<Absent, 'crashes' | 'lastCrashMs'> & { was?: Was | undefined }) {
  const now = useNow();
  if (crashes > 0) {
    const ago =
      lastCrashMs === undefined
        ? ''
        : ` ${inWords(Math.max(0, Math.ceil((now - lastCrashMs) / 1000) * 1000))} ago`;
    return <>{crashes === 1 ? `crashed${ago}` : `${crashes} crashes in a row${ago && `, the last${ago}`}`}</>;
  }
  if (was === undefined) return <>no instance is known</>;
  if (was.how === 'ended') {
    return (
      <>
        ended on <DeaLink id={was.dea} /> <Since ms={was.lastHeartbeatMs} /> ago ({was.exit})
      </>
    );
  }
  return was.how === 'silent' ? (
    <>
      <DeaLink id={was.dea} /> not heard for <Since ms={was.lastHeartbeatMs} />
    </>
  ) : (
    <>
      <DeaLink id={was.dea} /> lists it no more, last <Since ms={was.lastHeartbeatMs} /> ago
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
          start sent <Since ms={step.atMs} /> ago, again <Until ms={step.againMs} />
        </>
      );
    case 'waits':
      return (
        <>
          start waits for its turn, <Since ms={step.sinceMs} /> so far
        </>
      );
    case 'given_up':
      return (
        <>
          no start before <Until ms={step.untilMs} />, unless the app is changed
        </>
      );
    case 'grace':
      return (
        <>
          started <Until ms={step.untilMs} /> if nothing is heard
        </>
      );
    case 'held':
      return <HeldBy hold={step.hold} />;
    case 'dropped':
      return <>start not sent: {dropText(step.why)}; looked at again</>;
    case 'soon':
      return <>about to be looked at</>;
  }
}

export function HeldBy({ hold }: { hold: HoldName }) {
  return (
    <>
      held back: <span class="tag hold">{hold}</span>
    </>
  );
}
