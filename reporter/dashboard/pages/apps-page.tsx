/** All apps: filtered by problem and by a part of the guid, sorted, page by page. */
import { useState } from 'preact/hooks';
import {
  APP_PROBLEMS,
  type AppRow,
  type AppPage as Data,
} from '../../../common/views/apps/app-list-types.ts';
import { DropletLink, Num } from '../elements/text.tsx';
import type { Live } from '../live.ts';
import { ProblemRows } from '../overview/troubled.tsx';
import { hrefOfApps } from '../route.ts';
import { PageHead } from './page-head.tsx';
import { usePage } from './use-page.ts';

/** The query of the page, as it is in its address. */
export interface AppsQuery {
  /** One of the problems, `any`, or empty for all apps. */
  problem: string;
  search: string;
  cursor: string;
}

export function AppsPage({ problem, search, cursor, troubled }: AppsQuery & { troubled: Live['troubled'] }) {
  const query = new URLSearchParams({
    ...(problem !== '' && { problem, sort: 'worst' }),
    ...(search !== '' && { search }),
    ...(cursor !== '' && { cursor }),
  });
  const { data, problem: failure } = usePage<Data>(`apps?${query}`, troubled);
  return (
    <article class="page">
      <PageHead kind="apps" id={titleOf({ problem, search })}>
        <Filter problem={problem} search={search} />
        {failure !== undefined && <p class="problem">{failure}</p>}
      </PageHead>
      {data !== undefined && <Apps {...data} query={{ problem, search, cursor }} />}
    </article>
  );
}

function titleOf({ problem, search }: Pick<AppsQuery, 'problem' | 'search'>): string {
  const what =
    problem === '' ? 'All apps' : problem === 'any' ? 'Apps that need attention' : `Apps: ${problem}`;
  return search === '' ? what : `${what} with “${search}”`;
}

function Filter({ problem, search }: Pick<AppsQuery, 'problem' | 'search'>) {
  const [text, setText] = useState(search);
  const open = (change: Partial<AppsQuery>) => {
    location.hash = hrefOfApps({ problem, search: text.trim(), cursor: '', ...change });
  };
  return (
    <form
      class="filter"
      onSubmit={(event) => {
        event.preventDefault();
        open({});
      }}
    >
      <label>
        show{' '}
        <select value={problem} onChange={(event) => open({ problem: event.currentTarget.value })}>
          <option value="">all apps</option>
          <option value="any">apps that need attention</option>
          {APP_PROBLEMS.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>{' '}
      <label>
        with{' '}
        <input
          value={text}
          placeholder="a part of the guid"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>{' '}
      <button type="submit">Show</button>
    </form>
  );
}

function Apps({ apps, cursor, query }: Data & { query: AppsQuery }) {
  return (
    <section class="panel" aria-label="Apps">
      {apps.length === 0 ? (
        <p class="empty">{cursor === undefined ? 'No such app.' : 'None on this page.'}</p>
      ) : (
        <table class="troubled">
          <thead>
            <tr>
              <th scope="col">App</th>
              <th scope="col">Running</th>
              <th scope="col">Problem</th>
              <th scope="col">What happens next</th>
            </tr>
          </thead>
          {apps.map((app) =>
            app.trouble === undefined ? (
              <Healthy key={app.droplet} {...app} />
            ) : (
              <ProblemRows key={app.droplet} {...app.trouble} />
            ),
          )}
        </table>
      )}
      <p class="pages">
        {query.cursor !== '' && <a href={hrefOfApps({ ...query, cursor: '' })}>First page</a>}{' '}
        {cursor !== undefined && <a href={hrefOfApps({ ...query, cursor })}>Next page</a>}
      </p>
    </section>
  );
}

function Healthy({ droplet, wanted, live, state }: AppRow) {
  return (
    <tbody data-droplet={droplet}>
      <tr>
        <th scope="rowgroup">
          <DropletLink id={droplet} />
        </th>
        <td class="runs">
          <Num of={live} />/<Num of={wanted} />
        </td>
        <td class="note">{wanted === 0 ? (state ?? 'no longer listed by the controller') : 'none'}</td>
        <td />
      </tr>
    </tbody>
  );
}
