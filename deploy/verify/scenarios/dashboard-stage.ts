/** The dashboard of a world, in a real browser. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { startReporter } from '../../../reporter/main.ts';
import type { Deployment } from './deployment.ts';

/** Debian's package; the set-up of the tests installs it. */
const CHROMIUM = '/usr/bin/chromium';
const LOGIN = { user: 'operator', password: 'secret' };

/** A browser that talks to nobody but the pages that a test opens. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
}

export interface Dashboard {
  /** The reporter's. */
  context: TestContext;
  /** Opens a page, `#/...` behind the address if it is given, and waits until it is told what holds. */
  open(hash?: string, options?: BrowserContextOptions): Promise<Page>;
  /** What went wrong in any of its pages: uncaught errors, and what the console calls an error. */
  errors: string[];
  stop(): Promise<void>;
}

/** A reporter beside the world's processes, on the world's clock. */
export async function startDashboard(world: Deployment, browser: Browser): Promise<Dashboard> {
  const { redis, nats, clock, store } = world;
  const settings = {
    slices: store.keys.slices,
    status: { host: '127.0.0.1', port: 0, ...LOGIN, queuesWritable: false },
  };
  const context = await testContext({ redis, nats, clock, settings });
  const { port } = await startReporter(context);
  const errors: string[] = [];
  const open = async (hash = '', options: BrowserContextOptions = {}) => {
    const login = { username: LOGIN.user, password: LOGIN.password };
    const page = await browser.newPage({ httpCredentials: login, timezoneId: 'UTC', ...options });
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (line) => {
      if (line.type() === 'error') errors.push(line.text());
    });
    await page.goto(`http://127.0.0.1:${port}/${hash}`);
    await page.waitForSelector('main[data-connection=live]');
    return page;
  };
  const stop = async () => {
    for (const of of browser.contexts()) await of.close();
    await context.lifecycle.stop();
  };
  return { context, open, errors, stop };
}

/** DEAs `dea-00`, `dea-01`, ..., and apps spread over them, all of them running; the world knows enough to act. */
export async function fleet(world: Deployment, deas: number, apps: Record<string, number>): Promise<void> {
  const hosts = Array.from({ length: deas }, (_, n) => world.dea(`dea-${String(n).padStart(2, '0')}`));
  let next = 0;
  const last = Object.keys(apps).at(-1);
  for (const [app, instances] of Object.entries(apps)) {
    for (let index = 0; index < instances; index++) hosts[next++ % deas]?.run(app, index);
    // The last one is announced, so that a pass begins at once.
    await world.desire(app, { instances }, { quietly: app !== last });
  }
  // Until silence would be believed, and all was counted.
  await world.advance(55);
}
