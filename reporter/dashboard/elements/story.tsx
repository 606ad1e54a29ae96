/** Lines of the decision log. */
import type { Tone } from '../../../common/explain/sentences/line.ts';
import type { Live } from '../live.ts';
import { hrefOfDecisions } from '../route.ts';
import { At, DropletLink, ServerText } from './text.tsx';

const MARKS: Record<Tone, string> = { trouble: '!', action: '→', good: '✓', plain: '·' };

export function Latest({ lines }: Pick<Live, 'lines'>) {
  return (
    <section class="panel" aria-labelledby="latest">
      <h2 id="latest">
        Latest decisions{' '}
        <span class="note">
          <a href={hrefOfDecisions({})}>all, with filters</a>
        </span>
      </h2>
      {lines.length === 0 ? (
        <p class="empty">No decisions yet.</p>
      ) : (
        <ol class="story" aria-labelledby="latest">
          {[...lines].reverse().map((line, at) => (
            <StoryLine key={lines.length - at + line.text} {...line} />
          ))}
        </ol>
      )}
    </section>
  );
}

interface LineProps {
  atMs: number;
  tone: Tone;
  text: string;
  /** Absent on the droplet's own page; empty: the line is about the whole deployment. */
  droplet?: string;
}

export function StoryLine({ atMs, tone, text, droplet }: LineProps) {
  return (
    <li class={tone}>
      <At ms={atMs} />
      <span class="mark" aria-hidden="true">
        {MARKS[tone]}
      </span>
      <span>
        {droplet !== undefined && droplet !== '' && (
          <>
            <DropletLink id={droplet} />{' '}
          </>
        )}
        <ServerText text={text} />
      </span>
    </li>
  );
}
