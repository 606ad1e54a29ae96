/** What needs attention before all else: holds that are on, and DEAs that are not heard. */
import { useRef, useState } from 'preact/hooks';
import { countText, HOLD_TEXT } from '../../../common/explain/wording.ts';
import type { HoldUpdate, SilentDea } from '../../api/types.ts';
import { DeaLink, Num, Since, Until } from '../elements/text.tsx';
import type { Live } from '../live.ts';

const FEW = 4;
const SOME = 3;

export function Attention({ fleet, silent, hello }: Pick<Live, 'fleet' | 'silent' | 'hello'>) {
  const holds = fleet?.holds ?? [];
  const known = silent?.deas ?? [];
  // Of many silent ones the first few say what there is to say.
  const deas = known.length > FEW ? known.slice(0, SOME) : known;
  const more = known.length - deas.length + (silent?.more ?? 0);
  if (holds.length === 0 && deas.length === 0 && !hello?.dryRun) return null;
  return (
    <section class="attention" aria-label="What needs attention">
      <ul>
        {hello?.dryRun && (
          <li class="hold">
            <strong>dry_run is on</strong>: starts and stops are decided, none is sent.
          </li>
        )}
        {holds.map((hold) => (
          <Hold key={hold.hold} {...hold} />
        ))}
        {deas.map((dea) => (
          <Silent key={dea.dea} {...dea} lostMs={hello?.dropletLostMs ?? 0} />
        ))}
        {more > 0 && (
          <li class="lost">{countText(more, 'more DEA is', 'more DEAs are')} not heard: see the map.</li>
        )}
      </ul>
    </section>
  );
}

function Hold({ hold, sinceMs, untilMs, droplets, releasable }: HoldUpdate) {
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
        : {HOLD_TEXT[hold]}. {droplets > 0 && <>It holds back {countText(droplets, 'app')}. </>}
        {untilMs !== undefined && (
          <>
            It ends by itself <Until ms={untilMs} />.
          </>
        )}
      </div>
      {releasable && <Release hold={hold} droplets={droplets} />}
    </li>
  );
}

const CONSEQUENCE: Partial<Record<HoldUpdate['hold'], string>> = {
  mass_loss: 'The silent DEAs are dead: what ran there is started elsewhere, now.',
  mass_delete: 'The apps that the controller lists no more are deleted: what still runs of them is stopped.',
};

/** Asks once more: what follows cannot be taken back. */
function Release({ hold }: Pick<HoldUpdate, 'hold' | 'droplets'>) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [said, setSaid] = useState('');
  const release = async () => {
    dialog.current?.close();
    setSaid('asking');
    try {
      const reply = await fetch(`api/holds/${hold}/release`, { method: 'POST' });
      const waits = hold === 'mass_delete' ? 'ends with the next bulk pass' : 'ends in a second';
      setSaid(reply.ok ? `release asked for: ${waits}` : `not released: ${await errorOf(reply)}`);
    } catch {
      setSaid('not released: the reporter does not answer');
    }
  };
  return (
    <div class="release">
      <span role="status">{said}</span>
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

/** In the order in which they are told. */
const PARTS: [kinds: (keyof SilentDea['missing'])[], words: string][] = [
  [['sent'], 'starting'],
  [['queued', 'dropped', 'soon', 'grace'], 'waiting for their start'],
  [['held'], 'held back'],
  [['restart'], 'waiting for a flapping restart'],
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
  const gone = Object.values(missing).reduce((sum, n) => sum + n, 0);
  const parts = PARTS.map(
    ([kinds, words]) => [kinds.reduce((sum, kind) => sum + missing[kind], 0), words] as const,
  );
  const again = Math.max(0, instances - gone);
  return (
    <li class={state === 'lost' && gone > 0 ? 'lost' : 'late'} data-dea={dea}>
      <div>
        <strong>
          <DeaLink id={dea} /> not heard for <Since ms={lastHeartbeatMs} />
        </strong>
        {state === 'late' ? (
          <>
            : {countText(instances, 'instance runs', 'instances run')} there, lost{' '}
            <Until ms={lastHeartbeatMs + lostMs} /> if it stays silent.
          </>
        ) : gone === 0 && unread === 0 ? (
          <>: its {countText(instances, 'instance')} run elsewhere, or are not wanted any more.</>
        ) : (
          <>
            : its {countText(instances, 'instance is', 'instances are')} lost; <Num of={again} /> replaced
            {parts
              .filter(([n]) => n > 0)
              .map(([n, words]) => (
                <>
                  , <Num of={n} /> {words}
                </>
              ))}
            .
          </>
        )}
      </div>
    </li>
  );
}
