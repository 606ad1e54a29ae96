/** The map as a list: for those who cannot use it, and for whoever looks for one DEA. Bounded, as the map need not be. */
import { useState } from 'preact/hooks';
import type { DeaCell, DeaState } from '../../api/types.ts';
import { STATE_TEXT } from '../elements/dea-text.ts';
import { DeaLink, Num } from '../elements/text.tsx';

const SHOWN = 50;
const RANK: Record<DeaState, number> = { lost: 0, late: 1, leaving: 2, alive: 3 };

export function DeaList({ cells }: { cells: readonly DeaCell[] }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a list</summary>
      {open && <List cells={cells} />}
    </details>
  );
}

function List({ cells }: { cells: readonly DeaCell[] }) {
  const [prefix, setPrefix] = useState('');
  const found = cells.filter(([dea]) => dea.startsWith(prefix));
  const shown = found
    .sort((a, b) => RANK[a[1]] - RANK[b[1]] || b[2] - a[2] || (a[0] < b[0] ? -1 : 1))
    .slice(0, SHOWN);
  return (
    <>
      <label class="filter">
        begins with <input value={prefix} onInput={(event) => setPrefix(event.currentTarget.value.trim())} />
      </label>
      <table>
        <thead>
          <tr>
            <th scope="col">DEA</th>
            <th scope="col">state</th>
            <th scope="col" class="right">
              instances
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map(([dea, state, instances]) => (
            <tr key={dea}>
              <td>
                <DeaLink id={dea} />
              </td>
              <td>{STATE_TEXT[state]}</td>
              <td class="right">
                <Num of={instances} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length > SHOWN && <p class="note">and {found.length - SHOWN} more</p>}
    </>
  );
}
