/** Lines of the decision log. */
import { Fragment } from 'preact';
import type { Tone } from '../../../common/explain/sentences/line.ts';
import { HOLD_TEXT } from '../../../common/explain/wording.ts';
import type { HoldName } from '../../../common/model/reasons.ts';
import type { StoryUpdate, StoryLine as Told } from '../../api/types.ts';
import type { Live } from '../live.ts';
import { hrefOfDecisions } from '../route.ts';
import { At, DropletLink, ServerText } from './text.tsx';

const MARKS: Record<Tone, string> = { trouble: '!', action: '→', good: '✓', plain: '·' };

export function Latest({ lines, fleet }: Pick<Live, 'lines' | 'fleet'>) {
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
        <>
          <HoldsNamed lines={lines} except={fleet?.holds.map(({ hold }) => hold)} />
          <ol class="story" aria-labelledby="latest">
            {[...lines].reverse().map((line, at) => (
              <StoryLine key={lines.length - at + line.text} {...line} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

/** What the holds mean that lines name, each once. @param except explained elsewhere on the page */
export function HoldsNamed({
  lines,
  except = [],
}: {
  lines: readonly Told[];
  except?: readonly HoldName[] | undefined;
}) {
  const named = new Set(lines.flatMap(({ hold }) => hold ?? []));
  // Each pause of an operator has a reason of its own, which its lines tell.
  const holds = [...named].filter((hold) => hold !== 'operator' && !except.includes(hold));
  return (
    <>
      {holds.map((hold) => (
        <p key={hold} class="note">
          <span class="tag hold">{hold}</span> {HOLD_TEXT[hold]}
        </p>
      ))}
    </>
  );
}

/** Names of apps in one line. */
const MAX_NAMED = 5;

/** Without `droplet` on the droplet's own page. */
export function StoryLine({ atMs, tone, text, droplet, droplets = [] }: Told & Partial<StoryUpdate>) {
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
        {droplets.length > 0 && (
          <span class="named">
            :
            {droplets.slice(0, MAX_NAMED).map((id) => (
              <Fragment key={id}>
                {' '}
                <DropletLink id={id} />
              </Fragment>
            ))}
            {droplets.length > MAX_NAMED && ` and ${droplets.length - MAX_NAMED} more`}
          </span>
        )}
      </span>
    </li>
  );
}
