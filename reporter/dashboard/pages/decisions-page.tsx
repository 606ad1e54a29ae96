/** The decision log of all apps: filtered, newest first, page by page, and as a file. */
import { useState } from 'preact/hooks';
import type { DecisionPage as Data } from '../../api/types.ts';
import { HoldsNamed, StoryLine } from '../elements/story.tsx';
import { At, Num } from '../elements/text.tsx';
import { type DecisionsQuery, hrefOfDecisions, queryOf } from '../route.ts';
import { DecisionFilter } from './decision-filter.tsx';
import { PageHead } from './page-head.tsx';
import { usePage } from './use-page.ts';

/** Entries in a file. */
const MAX_EXPORT = '10000';

export function DecisionsPage({ page: _, ...query }: DecisionsQuery & { page: string }) {
  const [isPaused, setPaused] = useState(false);
  const { data, problem } = usePage<Data>(`decisions${queryOf(query)}`, undefined, isPaused);
  const { cursor: __, ...filter } = query;
  const file = (format: string) => `api/decisions${queryOf({ ...filter, limit: MAX_EXPORT, format })}`;
  return (
    <article class="page">
      <PageHead kind="decisions" id="Decisions">
        <DecisionFilter {...query} />
        <p class="tools">
          <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
            {isPaused ? 'Resume updates' : 'Pause updates'}
          </button>{' '}
          <a href={file('csv')} download>
            CSV
          </a>{' '}
          <a href={file('json')} download>
            JSON
          </a>
        </p>
        {problem !== undefined && <p class="problem">{problem}</p>}
      </PageHead>
      {data !== undefined && <Lines {...data} query={query} />}
    </article>
  );
}

function Lines({ lines, read, readFromMs, cursor, query }: Data & { query: DecisionsQuery }) {
  return (
    <section class="panel" aria-label="Decisions">
      {lines.length === 0 ? (
        <p class="empty">
          {readFromMs === undefined ? (
            'No such decision.'
          ) : (
            <>
              None among the <Num of={read} /> entries since <At ms={readFromMs} />.
            </>
          )}
        </p>
      ) : (
        <>
          <HoldsNamed lines={lines} />
          <ol class="story long">
            {lines.map((line, at) => (
              <StoryLine key={lines.length - at + line.text} {...line} />
            ))}
          </ol>
        </>
      )}
      <p class="pages">
        {query.cursor !== '' && <a href={hrefOfDecisions({ ...query, cursor: '' })}>Latest</a>}{' '}
        {cursor !== undefined && <a href={hrefOfDecisions({ ...query, cursor: String(cursor) })}>Older</a>}
      </p>
    </section>
  );
}
