/** The dashboard. */
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { render } from 'preact';
import { Attention } from './attention.tsx';
import { DeaPage } from './dea-page.tsx';
import { DropletPage } from './droplet-page.tsx';
import { Figures } from './figures.tsx';
import { Headline, standingOf } from './headline.tsx';
import { type Live, useLive } from './live.ts';
import { DeaMap } from './map.tsx';
import { useRoute } from './route.ts';
import { Search } from './search.tsx';
import { Latest } from './story.tsx';
import { Timeline } from './timeline.tsx';
import { Troubled } from './troubled.tsx';

function App() {
  const live = useLive();
  const route = useRoute();
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="top">
        <a class="name" href="#/">
          health manager
        </a>
        <Search {...live} />
      </header>
      <main id="main" data-connection={live.connection}>
        <Headline standing={standingOf(live)} />
        {route.page === 'overview' && <Overview live={live} />}
        {route.page === 'droplet' && <DropletPage id={route.id} lines={live.lines} />}
        {route.page === 'dea' && <DeaPage id={route.id} deas={live.deas} />}
      </main>
    </>
  );
}

function Overview({ live }: { live: Live }) {
  return (
    <>
      <Attention {...live} />
      <Figures {...live} />
      <div class="columns">
        <div>
          <Troubled {...live} />
          <Timeline {...live} />
        </div>
        <div>
          <DeaMap {...live} />
          <Latest {...live} />
        </div>
      </div>
    </>
  );
}

const app = document.getElementById('app');
if (app !== null) render(<App />, app);
