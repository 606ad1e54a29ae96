/** The keys of the dashboard, and the foot that names them and the time zone. */
import { useEffect, useRef } from 'preact/hooks';

const KEYS: readonly [key: string, what: string][] = [
  ['/', 'to the search'],
  ['?', 'this list'],
  ['Esc', 'closes a dialog; leaves the search'],
  ['Tab', 'to the next link or button'],
  ['arrows, Enter', 'in the map of DEAs: from one to the next; opens its page'],
];

/** Listens for `/` and `?`, unless they are typed into a field. */
export function Keys() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
      if (event.key === '?') dialog.current?.showModal();
      else if (event.key === '/') document.querySelector<HTMLElement>('input[type=search]')?.focus();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <footer class="foot">
      Times are in {zoneName()}.{' '}
      <button type="button" class="plain" onClick={() => dialog.current?.showModal()}>
        Keys: <kbd>/</kbd> search, <kbd>?</kbd> help
      </button>
      <dialog ref={dialog} class="keys" aria-label="Keys">
        <table>
          <thead>
            <tr>
              <th scope="col">Key</th>
              <th scope="col">What it does</th>
            </tr>
          </thead>
          <tbody>
            {KEYS.map(([key, what]) => (
              <tr key={key}>
                <th scope="row">
                  <kbd>{key}</kbd>
                </th>
                <td>{what}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </div>
      </dialog>
    </footer>
  );
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
}

/** `Europe/Berlin (GMT+2)` */
function zoneName(): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  const parts = new Intl.DateTimeFormat('en', { timeZoneName: 'shortOffset' }).formatToParts();
  const offset = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
  return timeZone === 'UTC' || offset === '' ? timeZone : `${timeZone} (${offset})`;
}
