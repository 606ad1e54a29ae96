/** The most urgent problems: holds that are on, and silent DEAs. */
import { useRef, useState } from 'preact/hooks';
import { countText, holdText } from '../../../common/explain/wording.ts';
import { expectedDeas } from '../../../common/model/dea-states.ts';
import { missingText } from '../../../common/views/processes.ts';
import { missingKinds } from '../../../common/views/status.ts';
import type { HoldUpdate, SilentDea } from '../../api/types.ts';
import { useNow } from '../elements/clock.ts';
import { DeaLink, Num, Since, Until } from '../elements/text.tsx';
import type { Live } from '../live.ts';

/** Up to this number every silent DEA is shown. */
const SHOW_ALL = 4;
/** Of more, this number: further ones would add nothing. */
const SHOW_FIRST = 3;

export function Attention({ fleet, silent, hello }: Pick<Live, 'fleet' | 'silent' | 'hello'>) {
  const holds = fleet?.holds ?? [];
  const allDeas = fleet === undefined ? 0 : expectedDeas(fleet.deas);
  // While it is not known what runs, silence is no evidence.
  const known = fleet?.unknown === undefined ? (silent?.deas ?? []) : [];
  const deas = known.length > SHOW_ALL ? known.slice(0, SHOW_FIRST) : known;
  const more = known.length - deas.length + (fleet?.unknown === undefined ? (silent?.more ?? 0) : 0);
  const now = useNow();
  const idle = fleet === undefined ? [] : missingKinds(fleet, now);
  if (holds.length === 0 && deas.length === 0 && idle.length === 0 && !hello?.dryRun) return null;
  return (
    <section class="attention" aria-label="Holds and silent DEAs">
      <ul>
        {hello?.dryRun && (
          <li class="hold">
            <strong>dry_run is on</strong>: starts and stops are decided but not sent.
          </li>
        )}
        {fleet !== undefined &&
          idle.map((kind) => (
            <li key={kind} class="lost" data-process={kind}>
              <strong>{missingText(fleet.processes, kind, now)}</strong>
            </li>
          ))}
        {holds.map((hold) => (
          <Hold key={hold.hold} {...hold} allDeas={allDeas} />
        ))}
        {deas.map((dea) => (
          <Silent key={dea.dea} {...dea} lostMs={hello?.dropletLostMs ?? 0} />
        ))}
        {more > 0 && (
          <li class="lost">{countText(more, 'more DEA is', 'more DEAs are')} silent: see the map.</li>
        )}
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
      {releasable && <Release hold={hold} droplets={droplets} />}
    </li>
  );
}

const CONSEQUENCE: Partial<Record<HoldUpdate['hold'], string>> = {
  mass_loss: 'The silent DEAs are dead: their instances are started elsewhere now.',
  mass_delete:
    'The apps that the controller no longer lists are deleted: their running instances are stopped.',
};

/** Asks for confirmation, because a release cannot be undone. */
function Release({ hold }: Pick<HoldUpdate, 'hold' | 'droplets'>) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [status, setStatus] = useState('');
  const release = async () => {
    dialog.current?.close();
    setStatus('requesting the release');
    try {
      const reply = await fetch(`api/holds/${hold}/release`, { method: 'POST' });
      const end = hold === 'mass_delete' ? 'ends with the next bulk pass' : 'ends within a second';
      setStatus(reply.ok ? `release requested: the hold ${end}` : `not released: ${await errorOf(reply)}`);
    } catch {
      setStatus('not released: the reporter does not answer');
    }
  };
  return (
    <div class="release">
      <span role="status">{status}</span>
      <button type="button" onClick={() => dialog.current?.showModal()}>
        Release {hold}
      </button>
      <dialog ref={dialog} aria-label={`Release ${hold}`}>
        <p>{CONSEQUENCE[hold]}</p>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" class="primary" onClick={release}>
            Release {hold}
          </button>
        </div>
      </dialog>
    </div>
  );
}

async function errorOf(reply: Response): Promise<string> {
  try {
    return ((await reply.json()) as { error: string }).error;
  } catch {
    return `HTTP ${reply.status}`;
  }
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
