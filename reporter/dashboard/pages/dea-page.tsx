/** One DEA: its instances, or what has become of them since it was lost. */
import { countText } from '../../../common/explain/wording.ts';
import type { DeaPage as Data, DeaPlace } from '../../api/types.ts';
import { Pause } from '../acts/pause.tsx';
import { Guid } from '../elements/copy.tsx';
import { STATE_TEXT } from '../elements/dea-text.ts';
import { PlatformLink } from '../elements/links.tsx';
import { Next, StateTag } from '../elements/step.tsx';
import { DeaLink, DropletLink, Num, Since } from '../elements/text.tsx';
import type { Live } from '../live.ts';
import { hrefOfDecisions } from '../route.ts';
import { PageHead } from './page-head.tsx';
import { usePage } from './use-page.ts';

const TONES = { alive: 'good', leaving: 'action', left: 'plain', late: 'warn', lost: 'bad' } as const;

export function DeaPage({ id, deas }: { id: string } & Pick<Live, 'deas'>) {
  const { data, problem } = usePage<Data>(`deas/${encodeURIComponent(id)}`, deas.get(id));
  return (
    <article class="page">
      <PageHead kind="DEA" id={id} isGuid>
        {problem !== undefined && <p class="problem">{problem}</p>}
        {data !== undefined && <Summary {...data} />}
        <PlatformLink of="dea" id={id} />
        <div class="acts">
          <Pause of={{ dea: id }} />
        </div>
      </PageHead>
      {data !== undefined && data.places.length > 0 && <Places {...data} />}
      <p class="note">
        <a href={hrefOfDecisions({ dea: id })}>Decisions that name this DEA</a>
      </p>
    </article>
  );
}

function Summary({ state, lastHeartbeatMs, instances, shutdownMs, places }: Data) {
  const missing = places.filter(({ absent }) => absent !== undefined).length;
  const elsewhere = places.filter((place) => place.elsewhere !== undefined).length;
  return (
    <>
      <p class={`sum ${TONES[state]}`}>{STATE_TEXT[state]}</p>
      <p>
        Last heartbeat <Since ms={lastHeartbeatMs} /> ago, with {countText(instances, 'instance')}.
        {shutdownMs !== undefined && (
          <>
            {' '}
            It sent dea.shutdown <Since ms={shutdownMs} /> ago.
          </>
        )}
        {(state === 'lost' || state === 'left') && (
          <>
            {' '}
            Of its instances <Num of={elsewhere} /> run elsewhere now, <Num of={missing} /> not yet.
          </>
        )}
      </p>
    </>
  );
}

function Places({ places, unread }: Data) {
  return (
    <section class="panel" aria-label="Instances">
      <h3>Instances</h3>
      <table class="slots">
        <thead>
          <tr>
            <th scope="col">App</th>
            <th scope="col">Index</th>
            <th scope="col">State</th>
            <th scope="col">What happens next</th>
            <th scope="col">Instance</th>
          </tr>
        </thead>
        <tbody>
          {places.map((place) => (
            <tr key={place.instance}>
              <th scope="row">
                <DropletLink id={place.droplet} />
              </th>
              <td class="num">{place.index}</td>
              <td>
                <State {...place} />
              </td>
              <td>
                <Now {...place} />
              </td>
              <td class="id">
                <Guid id={place.instance} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {unread > 0 && <p class="note">and {countText(unread, 'more app')}</p>}
    </section>
  );
}

function State({ effective, state, absent, elsewhere }: DeaPlace) {
  if (absent !== undefined) return <StateTag state={absent.state} />;
  if (elsewhere !== undefined) return <span class="tag">REPLACED</span>;
  return <span class={effective === 'RUNNING' ? 'tag good' : 'tag'}>{state}</span>;
}

function Now({ effective, absent, elsewhere, firstListedMs, state }: DeaPlace) {
  if (absent !== undefined) return <Next step={absent.step} />;
  if (elsewhere !== undefined) {
    return (
      <>
        runs on <DeaLink id={elsewhere} />
      </>
    );
  }
  if (effective === 'NONE') return <>{state === 'CRASHED' ? 'crash record' : 'no longer wanted'}</>;
  return (
    <>
      for <Since ms={firstListedMs} />
    </>
  );
}
