/** What an operator can do on the overview. */
import { useContext } from 'preact/hooks';
import { ActButton } from './act-button.tsx';
import { MayAct } from './may-act.ts';
import { Pause } from './pause.tsx';
import { post } from './post.ts';

export function ActBar() {
  if (!useContext(MayAct)) return null;
  return (
    <section class="acts" aria-label="Act">
      <SyncNow />
      <Pause of={{}} />
    </section>
  );
}

function SyncNow() {
  return (
    <ActButton
      label="Sync now"
      act={() => post('sync')}
      done="requested: it begins within a second"
      isRepeatable
    >
      <p>Reads what the controller wants at once, instead of at the next period.</p>
    </ActButton>
  );
}

/** Tries what is given up, flapping or unplaced again. */
export function Retry({ droplet }: { droplet: string }) {
  return (
    <ActButton
      label={`Retry ${droplet}`}
      act={() => post('retry', { droplet })}
      done="its crash count and attempts are forgotten"
      isRepeatable
    >
      <p>Every index that is given up, flapping or unplaced is started at once, like any missing one.</p>
    </ActButton>
  );
}
