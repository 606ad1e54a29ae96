/** The dashboard of a deployment, in a real browser. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { Registration } from '../../../common/redis/fleet/processes/registration.ts';
import { type TestContext, testContext } from '../../../common/testing/context.ts';
import { startReporter } from '../../../reporter/main.ts';
import type { Deployment } from './deployment.ts';

/** Debian's package, which the set-up of the tests installs. */
const CHROMIUM = '/usr/bin/chromium';
const LOGIN = { user: 'operator', password: 'secret' };
/** The login that may change nothing. */
export const READONLY = { user: 'viewer', password: 'may-look' };

/** A browser without network access of its own. */
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
  /** The reporter's context. */
  context: TestContext;
  /** Opens the dashboard, at a `#/...` if one is given, and waits for the first live update. */
  open(hash?: string, options?: BrowserContextOptions): Promise<Page>;
  /** Uncaught errors and console errors of all its pages. */
  errors: string[];
  stop(): Promise<void>;
}

/** Starts a reporter beside the deployment's processes, on the deployment's clock. */
export async function startDashboard(deployment: Deployment, browser: Browser): Promise<Dashboard> {
  const { redis, nats, clock, observer } = deployment;
  const settings = {
    slices: observer.keys.slices,
    links: { app: 'https://console.example.com/apps/{guid}', grafana: 'https://grafana.example.com/' },
    status: { host: '127.0.0.1', port: 0, ...LOGIN, readonly: READONLY, queuesWritable: false },
  };
  const context = await testContext({ redis, nats, clock, settings });
  const { port } = await startReporter(context);
  deployment.time.otherRegistrations.push(new Registration({ kind: 'reporter', ...context }));
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
    for (const browserContext of browser.contexts()) await browserContext.close();
    await context.lifecycle.stop();
  };
  return { context, open, errors, stop };
}

/** Keeps a picture of the page in the folder that HM_SCREENSHOTS names, for people to look at; without it does nothing. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = process.env.HM_SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

/** Starts DEAs `dea-00`, `dea-01`, ... with all instances of `apps` spread over them, and waits until no hold is on. */
export async function startFleet(
  deployment: Deployment,
  deas: number,
  apps: Record<string, number>,
): Promise<void> {
  const fleet = Array.from({ length: deas }, (_, n) => deployment.dea(`dea-${String(n).padStart(2, '0')}`));
  let next = 0;
  const last = Object.keys(apps).at(-1);
  for (const [app, instances] of Object.entries(apps)) {
    for (let index = 0; index < instances; index++) fleet[next++ % deas]?.run(app, index);
    // Only the last app is announced, which starts one pass at once.
    await deployment.desire(app, { instances }, { announce: app === last });
  }
  // Until no hold is on and every droplet has been counted.
  await deployment.advance(55);
}
