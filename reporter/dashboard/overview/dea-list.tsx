/** The map as a list, for those who cannot use the map or search a DEA. Unlike the map it is bounded. */
import { useState } from 'preact/hooks';
import type { DeaCell, DeaState } from '../../api/types.ts';
import { STATE_TEXT } from '../elements/dea-text.ts';
import { DeaLink, Num } from '../elements/text.tsx';

const MAX_ROWS = 50;
const RANK: Record<DeaState, number> = { lost: 0, late: 1, leaving: 2, alive: 3, left: 4 };

export function DeaList({ cells }: { cells: readonly DeaCell[] }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="map-list" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a list</summary>
      {open && <List cells={cells} />}
    </details>
  );
}

function List({ cells }: { cells: readonly DeaCell[] }) {
  const [prefix, setPrefix] = useState('');
  const matching = cells.filter(([dea]) => dea.startsWith(prefix));
  const shown = matching
    .sort((a, b) => RANK[a[1]] - RANK[b[1]] || b[2] - a[2] || (a[0] < b[0] ? -1 : 1))
    .slice(0, MAX_ROWS);
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
      {matching.length > MAX_ROWS && <p class="note">and {matching.length - MAX_ROWS} more</p>}
    </>
  );
}
