/** Finds an app or a DEA by its guid; suggests those on the page. */
import { useState } from 'preact/hooks';
import type { AppPage } from '../../../common/views/apps/app-list-types.ts';
import type { Live } from '../live.ts';
import { hrefOf, hrefOfApps } from '../route.ts';

const MAX_SUGGESTIONS = 8;

export function Search(live: Pick<Live, 'troubled' | 'lines' | 'deas'>) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const find = async (event: Event) => {
    event.preventDefault();
    const id = text.trim();
    if (id === '') return;
    const page = live.deas.has(id) ? 'dea' : 'droplet';
    const path = page === 'dea' ? 'deas' : 'stories';
    try {
      const reply = await fetch(`api/${path}/${encodeURIComponent(id)}`);
      if (reply.ok) {
        setProblem('');
        setText('');
        location.hash = hrefOf(page, id);
      } else if (reply.status === 404 && (await isPartOfGuid(id))) {
        setProblem('');
        setText('');
        location.hash = hrefOfApps({ search: id });
      } else {
        setProblem(reply.status === 404 ? `No app and no DEA has the guid ${id}` : `HTTP ${reply.status}`);
      }
    } catch {
      setProblem('The reporter does not answer.');
    }
  };
  return (
    <search>
      <form class="search" onSubmit={find}>
        <input
          type="search"
          list="known"
          placeholder="guid of an app or a DEA"
          aria-label="Find an app or a DEA by its guid"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setProblem('');
          }}
        />
        <datalist id="known">
          {suggestions(text.trim(), live).map((id) => (
            <option key={id} value={id} />
          ))}
        </datalist>
        <span class="problem" role="status">
          {problem}
        </span>
      </form>
    </search>
  );
}

/** Whether an app has this text in its guid. */
async function isPartOfGuid(text: string): Promise<boolean> {
  const reply = await fetch(`api/apps?${new URLSearchParams({ search: text, limit: '1' })}`);
  return reply.ok && ((await reply.json()) as AppPage).apps.length > 0;
}

/** Ids on the page that begin with the text. */
function suggestions(
  text: string,
  { troubled, lines, deas }: Pick<Live, 'troubled' | 'lines' | 'deas'>,
): string[] {
  if (text === '') return [];
  const found = new Set<string>();
  const add = (id: string) => {
    if (found.size < MAX_SUGGESTIONS && id.startsWith(text)) found.add(id);
  };
  for (const { droplet } of troubled?.droplets ?? []) add(droplet);
  for (const { droplet } of lines) add(droplet);
  for (const dea of deas.keys()) add(dea);
  return [...found];
}
