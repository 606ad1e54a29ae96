/** The apps that need attention, worst first: the problem, and what happens next. */
import { countText, STOP_TEXT } from '../../../common/explain/wording.ts';
import type { TroubledDroplet } from '../../api/types.ts';
import { Copy } from '../elements/copy.tsx';
import { HeldBy, Next, StateTag, Why } from '../elements/step.tsx';
import { DropletLink, Num } from '../elements/text.tsx';
import type { Live } from '../live.ts';
import { hrefOfApps } from '../route.ts';

/** More are on the page of apps. */
const MAX_ROWS = 10;

export function Troubled({ troubled, fleet }: Pick<Live, 'troubled' | 'fleet'>) {
  if (troubled === undefined) return null;
  const { count: all } = troubled;
  const droplets = troubled.droplets.slice(0, MAX_ROWS);
  return (
    <section class="panel" aria-labelledby="troubled">
      <h2 id="troubled">
        Needs attention{' '}
        <span class="note">
          {all > 0 && <>{countText(all, 'app')}, worst first</>}
          {all > 0 && fleet?.unknown !== undefined && ', when last known'}
        </span>
      </h2>
      {droplets.length === 0 ? (
        <p class="empty">
          {fleet?.unknown === undefined ? 'No app needs attention.' : 'Not known which apps need attention.'}
        </p>
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
          {droplets.map((droplet) => (
            <ProblemRows key={droplet.droplet} {...droplet} />
          ))}
        </table>
      )}
      {all > droplets.length && droplets.length > 0 && (
        <p class="note">
          <a href={hrefOfApps({ problem: 'any' })}>
            and <Num of={all - droplets.length} /> more
          </a>
        </p>
      )}
    </section>
  );
}

/** The rows of an app that has problems. */
export function ProblemRows({ droplet, wanted, live, missing, groups, stops }: TroubledDroplet) {
  const more = missing - groups.reduce((sum, group) => sum + group.count, 0);
  const rows = groups.length + stops.length + (more > 0 ? 1 : 0);
  const head = (
    <>
      <th scope="rowgroup" rowSpan={rows}>
        <DropletLink id={droplet} /> <Copy text={droplet} />
      </th>
      <td rowSpan={rows} class="runs">
        <span class="num">
          {live}/{wanted}
        </span>
        <meter min={0} max={Math.max(1, wanted)} value={live} aria-label={`${live} of ${wanted} running`} />
      </td>
    </>
  );
  return (
    <tbody data-droplet={droplet}>
      {groups.map(
        (
          { indices, count: many, state, crashes, lastCrashMs, lastCrash, attempts, lastInstance, step },
          at,
        ) => (
          <tr key={indices}>
            {at === 0 && head}
            <td>
              <StateTag state={state} isPaused={step.kind === 'held' && step.hold === 'operator'} />{' '}
              {many === 1 ? 'index' : 'indices'} {indices}:{' '}
              <Why
                crashes={crashes}
                {...(lastCrashMs !== undefined && { lastCrashMs })}
                {...(lastCrash !== undefined && { lastCrash })}
                {...(attempts !== undefined && { attempts })}
                lastInstance={lastInstance}
              />
            </td>
            <td class="next">
              <Next step={step} />
            </td>
          </tr>
        ),
      )}
      {more > 0 && (
        <tr>
          <td class="note">and {countText(more, 'more index', 'more indices')}</td>
          <td />
        </tr>
      )}
      {stops.map(({ reason, count: many, held }, at) => (
        <tr key={`${reason} ${held}`}>
          {at === 0 && groups.length === 0 && head}
          <td>
            <span class="tag">SURPLUS</span> {countText(many, 'instance')}: {STOP_TEXT[reason]}
          </td>
          <td class="next">{held === undefined ? 'being stopped' : <HeldBy hold={held} />}</td>
        </tr>
      ))}
    </tbody>
  );
}
