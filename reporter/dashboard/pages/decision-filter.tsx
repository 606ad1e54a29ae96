/** What of the decision log is shown; each change is a new address. */
import { useEffect, useState } from 'preact/hooks';
import { LOG_KINDS } from '../../../common/model/decision-log.ts';
import { EXIT_REASONS, HOLD_NAMES, START_REASONS, STOP_REASONS } from '../../../common/model/reasons.ts';
import { type DecisionsQuery, hrefOfDecisions } from '../route.ts';

const AGES: readonly [since: string, text: string][] = [
  ['', 'at any time'],
  ['15m', 'in the last 15 minutes'],
  ['1h', 'in the last hour'],
  ['6h', 'in the last 6 hours'],
  ['24h', 'in the last 24 hours'],
];
const BETWEEN = 'between';
const REASON_GROUPS = [
  ['starts', START_REASONS],
  ['stops', STOP_REASONS],
  ['exits', EXIT_REASONS],
  ['holds', HOLD_NAMES],
] as const;

export function DecisionFilter(query: DecisionsQuery) {
  const { kind, reason, since, until } = query;
  const [wantsBetween, setBetween] = useState(false);
  const between = wantsBetween || until !== '' || !isAge(since);
  const open = (change: Partial<DecisionsQuery>) => {
    location.hash = hrefOfDecisions({ ...query, cursor: '', ...change });
  };
  return (
    <form
      class="filter"
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        const of = (name: string) => String(given.get(name) ?? '').trim();
        open({ app: of('app'), dea: of('DEA') });
      }}
    >
      <Guid name="app" value={query.app} open={(app) => open({ app })} />{' '}
      <Guid name="DEA" value={query.dea} open={(dea) => open({ dea })} />{' '}
      <label>
        kind{' '}
        <select value={kind} onChange={(event) => open({ kind: event.currentTarget.value })}>
          <option value="">any</option>
          {LOG_KINDS.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>{' '}
      <label>
        reason{' '}
        <select value={reason} onChange={(event) => open({ reason: event.currentTarget.value })}>
          <option value="">any</option>
          {REASON_GROUPS.map(([group, reasons]) => (
            <optgroup key={group} label={group}>
              {reasons.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>{' '}
      <label>
        time{' '}
        <select
          value={between ? BETWEEN : since}
          onChange={(event) => {
            const { value } = event.currentTarget;
            setBetween(value === BETWEEN);
            if (value !== BETWEEN) open({ since: value, until: '' });
          }}
        >
          {AGES.map(([age, text]) => (
            <option key={age} value={age}>
              {text}
            </option>
          ))}
          <option value={BETWEEN}>between two times</option>
        </select>
      </label>{' '}
      {between && (
        <>
          <Moment name="from" value={since} open={(at) => open({ since: at })} />{' '}
          <Moment name="to" value={until} open={(at) => open({ until: at })} />
        </>
      )}
      <button type="submit">Show</button>
    </form>
  );
}

function isAge(since: string): boolean {
  return AGES.some(([age]) => age === since);
}

/** What is being typed. The page is read again every few seconds, which must not take it back. */
function useDraft(value: string) {
  const [draft, setDraft] = useState(value);
  useEffect(() => setDraft(value), [value]);
  return [draft, setDraft] as const;
}

/** A part of a guid; taken over with Enter, or when the field is left. */
function Guid({ name, value, open }: { name: string; value: string; open: (value: string) => void }) {
  const [draft, setDraft] = useDraft(value);
  return (
    <label>
      {name}{' '}
      <input
        name={name}
        value={draft}
        placeholder="a part of the guid"
        onInput={(event) => setDraft(event.currentTarget.value)}
        onChange={(event) => open(event.currentTarget.value.trim())}
      />
    </label>
  );
}

/** A moment in the browser's time zone. */
function Moment({ name, value, open }: { name: string; value: string; open: (value: string) => void }) {
  const ms = Date.parse(value);
  const shown = Number.isNaN(ms)
    ? ''
    : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  const [draft, setDraft] = useDraft(shown);
  return (
    <label>
      {name}{' '}
      <input
        type="datetime-local"
        step={1}
        value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onChange={(event) => {
          const at = new Date(event.currentTarget.value);
          open(Number.isNaN(at.getTime()) ? '' : at.toISOString());
        }}
      />
    </label>
  );
}
