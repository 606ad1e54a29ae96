/** Pauses starts, stops or both: of everything, one app or one DEA. And what is paused, with a button that resumes it. */
import { useState } from 'preact/hooks';
import { coversText } from '../../../common/explain/sentences/operator-sentences.ts';
import {
  HOLD_COVERS,
  type HoldCovers,
  MAX_WHY_LENGTH,
  type OperatorHold,
} from '../../../common/model/operator-hold.ts';
import { Until } from '../elements/text.tsx';
import { ActButton } from './act-button.tsx';
import { post } from './post.ts';

const HOUR_MS = 3_600_000;
const DURATIONS: readonly [ms: number, text: string][] = [
  [HOUR_MS / 4, '15 minutes'],
  [HOUR_MS, '1 hour'],
  [4 * HOUR_MS, '4 hours'],
  [24 * HOUR_MS, '24 hours'],
];
const COVERS: Readonly<Record<HoldCovers, string>> = {
  starts: 'starts',
  stops: 'stops',
  all: 'starts and stops',
};

/** @param of neither: everything */
export function Pause({ of }: { of: { droplet?: string; dea?: string } }) {
  const [covers, setCovers] = useState<HoldCovers>('all');
  const [why, setWhy] = useState('');
  const [durationMs, setDuration] = useState(HOUR_MS);
  const what = of.droplet ?? of.dea ?? 'everything';
  const kind = of.droplet !== undefined ? 'app ' : of.dea !== undefined ? 'DEA ' : '';
  return (
    <ActButton
      label={`Pause ${kind}${what}`}
      act={() =>
        why.trim() === ''
          ? Promise.resolve({ ok: false, problem: 'a reason is needed' })
          : post('holds', { ...of, covers, why: why.trim(), durationMs })
      }
      done="paused"
      isSerious
      isRepeatable
    >
      <p>
        While it is paused, nothing of this is decided or sent, whatever the reason: also after crashes and
        evacuations.
        {of.dea !== undefined && ' Instances of this DEA are not started elsewhere.'}
      </p>
      <label>
        Pause{' '}
        <select value={covers} onChange={(event) => setCovers(event.currentTarget.value as HoldCovers)}>
          {[...HOLD_COVERS].reverse().map((one) => (
            <option key={one} value={one}>
              {COVERS[one]}
            </option>
          ))}
        </select>
      </label>
      <label>
        for{' '}
        <select value={durationMs} onChange={(event) => setDuration(Number(event.currentTarget.value))}>
          {DURATIONS.map(([ms, text]) => (
            <option key={ms} value={ms}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <label>
        because{' '}
        <input
          type="text"
          maxLength={MAX_WHY_LENGTH}
          value={why}
          placeholder="everybody sees this reason"
          onInput={(event) => setWhy(event.currentTarget.value)}
        />
      </label>
    </ActButton>
  );
}

/** One pause, with the button that ends it. */
export function Paused({ hold }: { hold: OperatorHold }) {
  return (
    <li class="hold" data-hold="operator">
      <div>
        <strong>
          {hold.by} paused {coversText(hold)}
        </strong>
        : {hold.why}. It ends <Until ms={hold.untilMs} />.
      </div>
      <ActButton
        label={`Resume ${coversText(hold)}`}
        act={() => post(`holds/operator/${encodeURIComponent(hold.id)}/end`)}
        done="resumed"
      >
        <p>What is due is decided and sent at once, at most as fast as the rate limit of starts allows.</p>
      </ActButton>
    </li>
  );
}
