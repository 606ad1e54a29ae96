/** The dashboard. */
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { render } from 'preact';
import { ActBar } from './acts/act-bar.tsx';
import { MayAct } from './acts/may-act.ts';
import { Keys } from './elements/keys.tsx';
import { Links } from './elements/links.tsx';
import { Latest } from './elements/story.tsx';
import { type Live, useLive } from './live.ts';
import { Attention } from './overview/attention.tsx';
import { Figures } from './overview/figures.tsx';
import { Headline } from './overview/headline.tsx';
import { DeaMap } from './overview/map/map.tsx';
import { Processes } from './overview/processes.tsx';
import { Search } from './overview/search.tsx';
import { Timeline } from './overview/timeline/timeline.tsx';
import { Troubled } from './overview/troubled.tsx';
import { AppsPage } from './pages/apps-page.tsx';
import { DeaPage } from './pages/dea-page.tsx';
import { DecisionsPage } from './pages/decisions-page.tsx';
import { DropletPage } from './pages/droplet-page.tsx';
import { hrefOfApps, hrefOfDecisions, titleOf, useRoute } from './route.ts';

function App() {
  const live = useLive();
  const route = useRoute();
  const links = live.hello?.links ?? {};
  return (
    <MayAct.Provider value={live.hello?.mayAct === true}>
      <Links.Provider value={links}>
        <a class="skip" href="#main">
          To the content
        </a>
        <header class="top">
          <a class="name" href="#/">
            health manager
          </a>
          <nav class="nav">
            <a href={hrefOfApps({})}>apps</a> <a href={hrefOfDecisions({})}>decisions</a>{' '}
            <a href="queues">queues</a>
            {links.grafana !== undefined && (
              <a href={links.grafana} rel="noreferrer">
                grafana
              </a>
            )}
          </nav>
          <Search {...live} />
        </header>
        <main id="main" class={isKnown(live) ? '' : 'unknown'} data-connection={live.connection}>
          <Headline live={live} page={titleOf(route)} />
          {route.page === 'overview' && <Overview live={live} />}
          {route.page === 'apps' && (
            <AppsPage key={`${route.problem} ${route.search}`} {...route} troubled={live.troubled} />
          )}
          {route.page === 'decisions' && <DecisionsPage {...route} />}
          {route.page === 'droplet' && <DropletPage id={route.id} lines={live.lines} known={isKnown(live)} />}
          {route.page === 'dea' && <DeaPage id={route.id} deas={live.deas} />}
        </main>
        <Keys />
      </Links.Provider>
    </MayAct.Provider>
  );
}

/** Whether the page shows what runs now. If not, nothing on it is green. */
function isKnown({ connection, unavailable, fleet }: Live): boolean {
  return connection === 'live' && unavailable === undefined && fleet?.unknown === undefined;
}

function Overview({ live }: { live: Live }) {
  // Without a table of problems its column has room.
  const isQuiet = live.troubled?.count === 0;
  return (
    <>
      <Attention {...live} />
      <ActBar />
      <Figures {...live} />
      <Processes {...live} />
      <div class="columns">
        <div>
          <Timeline {...live} known={isKnown(live)} />
          <Troubled {...live} />
          {isQuiet && <Latest {...live} />}
        </div>
        <div>
          <DeaMap {...live} known={isKnown(live)} />
          {!isQuiet && <Latest {...live} />}
        </div>
      </div>
    </>
  );
}

const app = document.getElementById('app');
if (app !== null) render(<App />, app);
