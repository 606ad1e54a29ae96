/** The processes of the health manager: how many of each kind work, and what each of them does. */
import { formatDuration } from '../../../common/explain/wording.ts';
import {
  type KindView,
  type ProcessView,
  problemText,
  versionsText,
} from '../../../common/views/processes.ts';
import { At, Since } from '../elements/text.tsx';
import type { Live } from '../live.ts';

export function Processes({ fleet }: Pick<Live, 'fleet'>) {
  if (fleet === undefined) return null;
  const { kinds, running, versions } = fleet.processes;
  const differ = versionsText(fleet.processes);
  return (
    <section class="processes" aria-label="Processes of the health manager">
      <details>
        <summary>
          Processes{' '}
          <span class="kinds">
            {kinds.map((kind) => (
              <Kind key={kind.kind} {...kind} />
            ))}
          </span>
          {differ !== '' && <span class="tag warn">{differ}</span>}
        </summary>
        <table>
          <thead>
            <tr>
              <th scope="col">Process</th>
              <th scope="col">Host</th>
              <th scope="col">Pid</th>
              <th scope="col">Version</th>
              <th scope="col">Since</th>
              <th scope="col">Last work</th>
              <th scope="col">Delay</th>
              <th scope="col">Waits for</th>
            </tr>
          </thead>
          <tbody>
            {running.map((one) => (
              <Row key={`${one.host} ${one.pid} ${one.kind}`} {...one} differ={versions.length > 1} />
            ))}
          </tbody>
        </table>
      </details>
    </section>
  );
}

function Kind({ kind, copies, working, noneSinceMs }: KindView) {
  if (working > 0) {
    return (
      <span data-kind={kind}>
        {kind} <strong class="num">{working}</strong>
        {copies > working && <span class="bad"> of {copies}</span>}
      </span>
    );
  }
  return (
    <span data-kind={kind} class="bad">
      {kind} <strong>{copies === 0 ? 'none' : 'waits'}</strong>
      {noneSinceMs !== undefined && (
        <>
          {' '}
          for <Since ms={noneSinceMs} />
        </>
      )}
    </span>
  );
}

function Row({
  kind,
  host,
  pid,
  version,
  sinceMs,
  lastWorkMs,
  lagMs,
  problems,
  differ,
}: ProcessView & { differ: boolean }) {
  return (
    <tr>
      <th scope="row">{kind}</th>
      <td class="id">{host}</td>
      <td class="num">{pid}</td>
      <td class={differ ? 'warn' : ''}>{version}</td>
      <td>
        <At ms={sinceMs} />
      </td>
      <td>
        {lastWorkMs === undefined ? (
          'none yet'
        ) : (
          <>
            <Since ms={lastWorkMs} /> ago
          </>
        )}
      </td>
      <td class="num">{formatDuration(lagMs)}</td>
      <td class={problems === undefined ? '' : 'bad'}>
        {problems === undefined ? 'nothing' : problemText(problems)}
      </td>
    </tr>
  );
}
