/** The fleet in figures. */

import type { ComponentChildren } from 'preact';
import { Fragment } from 'preact';
import { countText } from '../../../common/explain/wording.ts';
import { expectedDeas } from '../../../common/model/dea-states.ts';
import { isMissing, kindOf } from '../../../common/views/processes.ts';
import type { FleetUpdate } from '../../api/types.ts';
import { Num, Since } from '../elements/text.tsx';
import type { Live } from '../live.ts';

export function Figures({ fleet }: Pick<Live, 'fleet'>) {
  if (fleet === undefined) return null;
  const { totals, slots, deas, queues, sync, unknown, troubled } = fleet;
  const noNudger = isMissing(kindOf(fleet.processes, 'nudger'));
  const queued = queues.starts.waiting + queues.restarts.waiting;
  return (
    <section class="figures" aria-label="The fleet in figures">
      <dl>
        {unknown === undefined ? (
          <>
            <Figure
              name="running"
              note={
                <>
                  of <Num of={slots.wanted} /> wanted
                  {slots.expected !== undefined && (
                    <>
                      , <Num of={slots.expected} /> expected
                    </>
                  )}
                </>
              }
            >
              <Num of={slots.running} />
            </Figure>
            <Figure
              name="missing"
              bad={slots.missing > (slots.paused ?? 0)}
              note={<Parts of={missingParts(fleet)} none={slots.missing === 0 ? 'none' : 'to be started'} />}
            >
              <Num of={slots.missing} />
            </Figure>
          </>
        ) : (
          <>
            <Figure
              name="running"
              note={
                unknown.ranThen === undefined ? (
                  'not known'
                ) : (
                  <>
                    <Num of={unknown.ranThen} /> ran when last known
                  </>
                )
              }
            >
              ?
            </Figure>
            <Figure name="missing" note="not known">
              ?
            </Figure>
          </>
        )}
        <Figure
          name="apps"
          note={
            <Parts
              of={[
                {
                  ...{ n: troubled, text: troubled === 1 ? 'needs attention' : 'need attention' },
                  tone: 'warn',
                },
              ]}
              none={unknown === undefined ? 'none needs attention' : 'not known which need attention'}
            />
          }
        >
          <Num of={totals.apps} />
        </Figure>
        {unknown === undefined ? (
          <Figure name="DEAs" note={<Parts of={deaParts(deas)} none="all alive" />}>
            <Num of={expectedDeas(deas)} />
          </Figure>
        ) : (
          <Figure name="DEAs" note="alive or not: not known">
            <Num of={expectedDeas(deas)} />
          </Figure>
        )}
        <Figure
          name="starts queued"
          bad={noNudger && queued > 0}
          note={
            noNudger ? (
              <span class={queued > 0 ? 'bad' : ''}>no nudger takes them</span>
            ) : (
              <>{countText(queues.restarts.delayed, 'restart')} due later</>
            )
          }
        >
          <Num of={queued} />
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

/** A number of a note. */
interface Part {
  n: number;
  text: string;
  /** `bad` unless given. */
  tone?: '' | 'warn';
}

function missingParts({ slots, totals }: Pick<FleetUpdate, 'slots' | 'totals'>): Part[] {
  const { held = 0, paused = 0, givenUp = 0, unplaced, exact } = slots;
  return [
    { n: paused, text: 'paused', tone: '' },
    { n: held - paused, text: 'held back', tone: '' },
    { n: exact ? slots.flapping : totals.flapping, text: 'flapping' },
    { n: givenUp, text: 'given up' },
    { n: unplaced, text: 'unplaced' },
  ];
}

function deaParts({ late, lost, leaving, left }: FleetUpdate['deas']): Part[] {
  return [
    { n: lost, text: 'lost' },
    { n: late, text: 'late', tone: 'warn' },
    { n: leaving, text: 'leaving', tone: '' },
    { n: left, text: 'left', tone: '' },
  ];
}

/** The parts that are not 0; what hurts is red. */
function Parts({ of, none }: { of: readonly Part[]; none: string }) {
  const shown = of.filter(({ n }) => n > 0);
  if (shown.length === 0) return <>{none}</>;
  return (
    <>
      {shown.map(({ n, text, tone = 'bad' }, at) => (
        <Fragment key={text}>
          {at > 0 && ', '}
          <span class={tone}>
            <Num of={n} /> {text}
          </span>
        </Fragment>
      ))}
    </>
  );
}

interface FigureProps {
  name: string;
  bad?: boolean;
  note: ComponentChildren;
  children: ComponentChildren;
}

function Figure({ name, bad, note, children }: FigureProps) {
  return (
    <div data-figure={name}>
      <dt>{name}</dt>
      <dd>
        <span class={bad ? 'value bad' : 'value'}>{children}</span>
        <span class="note">{note}</span>
      </dd>
    </div>
  );
}
