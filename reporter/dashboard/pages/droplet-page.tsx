/** One app (a droplet): what should run, what runs, what happens next, and its story. */
import type { DropletPage as Data, Place } from '../../api/types.ts';
import { Retry } from '../acts/act-bar.tsx';
import { Pause } from '../acts/pause.tsx';
import { Guid } from '../elements/copy.tsx';
import { PlatformLink } from '../elements/links.tsx';
import { Next, StateTag, Why } from '../elements/step.tsx';
import { HoldsNamed, StoryLine } from '../elements/story.tsx';
import { At, DeaLink, Num, ServerText, Since } from '../elements/text.tsx';
import type { Live } from '../live.ts';
import { hrefOfDecisions } from '../route.ts';
import { PageHead } from './page-head.tsx';
import { usePage } from './use-page.ts';

export function DropletPage({ id, lines, known }: { id: string; known: boolean } & Pick<Live, 'lines'>) {
  const latest = lines.findLast(({ droplet, droplets }) => droplet === id || droplets?.includes(id));
  const { data, problem } = usePage<Data>(`stories/${encodeURIComponent(id)}`, latest);
  return (
    <article class="page">
      <PageHead kind="app" id={id} isGuid>
        {problem !== undefined && <p class="problem">{problem}</p>}
        {data?.record !== undefined && <Wanted {...data.record} known={known} />}
        {data !== undefined && data.record === undefined && (
          <p>Its record was removed; the story is what the decision log still has.</p>
        )}
        <PlatformLink of="app" id={id} />
        <div class="acts">
          {data?.record?.slots.some(({ absent }) => absent !== undefined) && <Retry droplet={id} />}
          <Pause of={{ droplet: id }} />
        </div>
      </PageHead>
      {data?.record !== undefined && <Slots {...data.record} />}
      {data?.record !== undefined && data.record.others.length > 0 && <Others {...data.record} />}
      {data !== undefined && <Story {...data} />}
      <p class="note">
        An app is called <em>droplet</em> on the command line, in Redis and in messages. The same on the
        command line: <code>deploy/hm explain {id}</code>. The whole record:{' '}
        <a href={`api/droplets/${encodeURIComponent(id)}`}>JSON</a>. Its part of the log:{' '}
        <a href={hrefOfDecisions({ app: id })}>decisions</a>.
      </p>
    </article>
  );
}

type RecordData = NonNullable<Data['record']>;

function Wanted({
  desired,
  goneMs,
  updatedMs,
  firstSeenMs,
  wanted,
  running,
  holds,
  known,
}: RecordData & { known: boolean }) {
  return (
    <>
      {known ? (
        <p class={running === wanted ? 'sum good' : 'sum bad'}>
          <Num of={running} /> of <Num of={wanted} /> running
        </p>
      ) : (
        <p class="sum">
          Not known what runs; <Num of={running} /> of <Num of={wanted} /> ran when last known
        </p>
      )}
      <p>
        {desired === undefined ? 'The controller has not listed it yet.' : `Wanted: ${desired}.`}
        {goneMs !== undefined && (
          <>
            {' '}
            The controller no longer lists it, last <Since ms={goneMs} /> ago.
          </>
        )}
        {updatedMs !== undefined && (
          <>
            {' '}
            Changed <Since ms={updatedMs} /> ago.
          </>
        )}{' '}
        First seen <At ms={firstSeenMs} />.
      </p>
      {holds.map(({ hold, text }) => (
        <p key={hold}>
          <span class="tag hold">{hold}</span> <ServerText text={text} />
        </p>
      ))}
    </>
  );
}

function Slots({ slots, moreSlots, version }: RecordData) {
  if (slots.length === 0) return null;
  return (
    <section class="panel" aria-label="Slots">
      <h3>Slots</h3>
      <table class="slots">
        <thead>
          <tr>
            <th scope="col">Index</th>
            <th scope="col">State</th>
            <th scope="col">DEA</th>
            <th scope="col">Instance</th>
            <th scope="col">Notes</th>
          </tr>
        </thead>
        <tbody>
          {slots.map(({ index, state, tone, text, absent, places }) => (
            <tr key={index}>
              <th scope="row" class="num">
                {index}
              </th>
              <td>
                {absent === undefined ? (
                  <span class={`tag ${tone}`}>{state}</span>
                ) : (
                  <StateTag state={absent.state} />
                )}
              </td>
              <td>
                {places.map((place) => (
                  <Where key={place.instance} {...place} />
                ))}
              </td>
              <td class="id">
                {places.map(({ instance }) => (
                  <div key={instance}>
                    <Guid id={instance} />
                  </div>
                ))}
              </td>
              <td>
                {absent === undefined ? (
                  <ServerText text={text} />
                ) : (
                  <>
                    {(absent.crashes > 0 || absent.attempts !== undefined) && (
                      <>
                        <Why
                          crashes={absent.crashes}
                          {...(absent.lastCrashMs !== undefined && { lastCrashMs: absent.lastCrashMs })}
                          {...(absent.lastCrash !== undefined && { lastCrash: absent.lastCrash })}
                          {...(absent.attempts !== undefined && { attempts: absent.attempts })}
                        />
                        ;{' '}
                      </>
                    )}
                    <Next step={absent.step} />
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {moreSlots > 0 && (
        <p class="note">
          and <Num of={moreSlots} /> more running slots{version && ` of version ${version}`}
        </p>
      )}
    </section>
  );
}

function Where({ dea, firstListedMs, lastHeartbeatMs }: Place) {
  return (
    <div>
      <DeaLink id={dea} />{' '}
      <span class="note">
        for <Since ms={firstListedMs} />, last heartbeat <Since ms={lastHeartbeatMs} /> ago
      </span>
    </div>
  );
}

function Others({ others, version }: RecordData) {
  return (
    <section class="panel" aria-label="Other instances">
      <h3>Other instances</h3>
      <table class="slots">
        <tbody>
          {others.map(({ place, text, tone }) => (
            <tr key={place.instance}>
              <th scope="row" class="num">
                {place.index}
              </th>
              <td>
                <span class={`tag ${tone}`}>{place.state}</span>
                {place.version !== version && <span class="note"> version {place.version}</span>}
              </td>
              <td>
                <Where {...place} />
              </td>
              <td class="id">
                <Guid id={place.instance} />
              </td>
              <td>
                <ServerText text={text} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Story({ story, cut, record }: Data) {
  return (
    <section class="panel" aria-label="Story">
      <h3>Story</h3>
      {story.length === 0 ? (
        <p class="empty">No decisions yet.</p>
      ) : (
        <>
          <HoldsNamed lines={story} except={record?.holds.map(({ hold }) => hold)} />
          <ol class="story long">
            {story.map((line, at) => (
              <StoryLine key={story.length - at} {...line} />
            ))}
          </ol>
        </>
      )}
      {cut && <p class="note">Earlier entries are left out.</p>}
    </section>
  );
}
