/** The most urgent problems: holds that are on, and silent DEAs. */
import { Fragment } from 'preact';
import { countText, holdText } from '../../../common/explain/wording.ts';
import { expectedDeas } from '../../../common/model/dea-states.ts';
import { idleTexts } from '../../../common/views/status.ts';
import type { HoldUpdate, SilentDea } from '../../api/types.ts';
import { Paused } from '../acts/pause.tsx';
import { Release } from '../acts/release.tsx';
import { useNow } from '../elements/clock.ts';
import { DeaLink, Num, Since, Until } from '../elements/text.tsx';
import type { Live } from '../live.ts';

/** Up to this number every silent DEA is shown. */
const SHOW_ALL = 4;
/** Of more, this number is named. */
const NAME_FIRST = 3;

export function Attention({ fleet, silent, hello }: Pick<Live, 'fleet' | 'silent' | 'hello'>) {
  const holds = fleet?.holds ?? [];
  const allDeas = fleet === undefined ? 0 : expectedDeas(fleet.deas);
  // While it is not known what runs, silence is no evidence.
  const known = fleet?.unknown === undefined ? (silent?.deas ?? []) : [];
  const more = fleet?.unknown === undefined ? (silent?.more ?? 0) : 0;
  const isMany = known.length + more > SHOW_ALL;
  const deas = isMany ? [] : known;
  const now = useNow();
  // The headline has them, unless it says that it is not known what runs.
  const idle = fleet?.unknown === undefined ? [] : idleTexts(fleet, now);
  if (holds.length === 0 && known.length === 0 && idle.length === 0 && !hello?.dryRun) return null;
  return (
    <section class="attention" aria-label="Holds and silent DEAs">
      <ul>
        {hello?.dryRun && (
          <li class="hold">
            <strong>dry_run is on</strong>: starts and stops are decided but not sent.
          </li>
        )}
        {idle.map((text) => (
          <li key={text} class="lost" data-idle="">
            <strong>{text}</strong>
          </li>
        ))}
        {holds
          .flatMap(({ operatorHolds = [] }) => operatorHolds)
          .map((hold) => (
            <Paused key={hold.id} hold={hold} />
          ))}
        {holds
          .filter(({ hold }) => hold !== 'operator')
          .map((hold) => (
            <Hold key={hold.hold} {...hold} allDeas={allDeas} />
          ))}
        {deas.map((dea) => (
          <Silent key={dea.dea} {...dea} lostMs={hello?.dropletLostMs ?? 0} />
        ))}
        {isMany && <ManySilent deas={known} more={more} />}
      </ul>
    </section>
  );
}

function Hold({
  hold,
  sinceMs,
  untilMs,
  droplets,
  releasable,
  silentDeas,
  takenOver,
  allDeas,
}: HoldUpdate & { allDeas: number }) {
  return (
    <li class="hold" data-hold={hold}>
      <div>
        <strong>Hold {hold}</strong>
        {sinceMs !== undefined && (
          <>
            {' '}
            for <Since ms={sinceMs} />
          </>
        )}
        : {holdText(hold, { silent: silentDeas, all: allDeas }, takenOver)}.{' '}
        {droplets > 0 && <>It affects {countText(droplets, 'app')}. </>}
        {untilMs !== undefined && (
          <>
            It ends <Until ms={untilMs} /> at the latest.
          </>
        )}
      </div>
      {releasable && <Release hold={hold} />}
    </li>
  );
}

/** In the order in which they are shown. */
const PARTS: [kinds: (keyof SilentDea['missing'])[], text: string][] = [
  [['sent'], 'starting'],
  [['queued', 'dropped', 'soon', 'grace'], 'waiting for their start'],
  [['no_nudger'], 'waiting for a nudger'],
  [['held'], 'held back'],
  [['restart'], 'waiting for a flapping restart'],
  [['retry'], 'waiting for their next try'],
  [['given_up'], 'given up'],
];

/** Many DEAs that are silent, in one sentence. @param more those that are not in the list */
function ManySilent({ deas, more }: { deas: readonly SilentDea[]; more: number }) {
  const named = deas.slice(0, NAME_FIRST);
  const sum = (of: (dea: SilentDea) => number) => deas.reduce((total, dea) => total + of(dea), 0);
  const lost = sum(({ missing }) => Object.values(missing).reduce((total, n) => total + n, 0));
  const parts = PARTS.map(
    ([kinds, text]) => [kinds.reduce((n, kind) => n + sum(({ missing }) => missing[kind]), 0), text] as const,
  );
  const isComplete = more === 0 && deas.every(({ unread }) => unread === 0);
  return (
    <li class={lost > 0 ? 'lost' : 'late'} data-silent="">
      <div>
        <strong>{countText(deas.length + more, 'DEA is', 'DEAs are')} silent</strong>:{' '}
        {named.map(({ dea }, at) => (
          <Fragment key={dea}>
            {at > 0 && ', '}
            <DeaLink id={dea} />
          </Fragment>
        ))}{' '}
        and <Num of={deas.length + more - named.length} /> more, see the map.
        {isComplete && lost > 0 && (
          <>
            {' '}
            Of their instances <Num of={lost} /> run nowhere
            {parts
              .filter(([n]) => n > 0)
              .map(([n, text]) => (
                <Fragment key={text}>
                  , <Num of={n} /> {text}
                </Fragment>
              ))}
            .
          </>
        )}
      </div>
    </li>
  );
}

function Silent({
  dea,
  state,
  lastHeartbeatMs,
  instances,
  missing,
  unread,
  lostMs,
}: SilentDea & { lostMs: number }) {
  const lost = Object.values(missing).reduce((sum, n) => sum + n, 0);
  const parts = PARTS.map(
    ([kinds, text]) => [kinds.reduce((sum, kind) => sum + missing[kind], 0), text] as const,
  );
  const replaced = Math.max(0, instances - lost);
  return (
    <li class={state === 'lost' && lost > 0 ? 'lost' : 'late'} data-dea={dea}>
      <div>
        <strong>
          <DeaLink id={dea} /> silent for <Since ms={lastHeartbeatMs} />
        </strong>
        {state === 'late' ? (
          <>
            : {countText(instances, 'instance runs', 'instances run')} there, lost{' '}
            <Until ms={lastHeartbeatMs + lostMs} /> if it stays silent.
          </>
        ) : lost === 0 && unread === 0 ? (
          <>
            : its {countText(instances, 'instance runs', 'instances run')} elsewhere or are no longer wanted.
          </>
        ) : (
          <>
            : its {countText(instances, 'instance is', 'instances are')} lost; <Num of={replaced} /> replaced
            {parts
              .filter(([n]) => n > 0)
              .map(([n, text]) => (
                <>
                  , <Num of={n} /> {text}
                </>
              ))}
            .
          </>
        )}
      </div>
    </li>
  );
}
