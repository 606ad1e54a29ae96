/** The fleet in figures. */
import type { ComponentChildren } from 'preact';
import { countText } from '../../../common/explain/wording.ts';
import { Num, Since } from '../elements/text.tsx';
import type { Live } from '../live.ts';
import { missingNow } from './headline.tsx';

export function Figures(live: Pick<Live, 'fleet' | 'troubled'>) {
  const { fleet, troubled } = live;
  if (fleet === undefined) return null;
  const { totals, deas, queues, sync } = fleet;
  const wanted = totals.running + totals.missing;
  const missing = missingNow(live);
  const silent = deas.late + deas.lost;
  return (
    <section class="figures" aria-label="The fleet in figures">
      <dl>
        <Figure
          name="running"
          bad={false}
          note={
            <>
              of <Num of={wanted} /> wanted
            </>
          }
        >
          <Num of={wanted - Math.min(wanted, missing)} />
        </Figure>
        <Figure
          name="missing"
          bad={missing > 0}
          note={
            <>
              <Num of={totals.flapping} /> flapping
              {totals.unplaced > 0 && (
                <>
                  , <Num of={totals.unplaced} /> unplaced
                </>
              )}
            </>
          }
        >
          <Num of={missing} />
        </Figure>
        <Figure
          name="apps"
          bad={false}
          note={
            <>
              <Num of={troubled?.count ?? 0} /> need attention
            </>
          }
        >
          <Num of={totals.apps} />
        </Figure>
        <Figure
          name="DEAs"
          bad={silent > 0}
          note={
            silent === 0 ? (
              'none silent'
            ) : (
              <>
                <Num of={silent} /> silent
              </>
            )
          }
        >
          <Num of={deas.alive + silent} />
        </Figure>
        <Figure
          name="starts queued"
          bad={false}
          note={<>{countText(queues.restarts.delayed, 'restart')} due later</>}
        >
          <Num of={queues.starts.waiting + queues.restarts.waiting} />
        </Figure>
        <Figure
          name="bulk pass"
          bad={sync.succeededMs === undefined}
          note={
            <>
              <Num of={sync.listed ?? 0} /> apps listed
            </>
          }
        >
          {sync.succeededMs === undefined ? (
            'none yet'
          ) : (
            <>
              <Since ms={sync.succeededMs} /> ago
            </>
          )}
        </Figure>
      </dl>
    </section>
  );
}

interface FigureProps {
  name: string;
  bad: boolean;
  note: ComponentChildren;
  children: ComponentChildren;
}

function Figure({ name, bad, note, children }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span class={bad ? 'value bad' : 'value'}>{children}</span>
        <span class="note">{note}</span>
      </dd>
    </div>
  );
}
