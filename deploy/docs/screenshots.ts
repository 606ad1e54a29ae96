/** The pictures of the dashboard in `deploy/docs/images/`: a fleet with the real processes, Redis and NATS. */
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { test } from 'vitest';
import { packageRoot } from '../../common/runtime/package-root.ts';
import {
  type Dashboard,
  startBrowser,
  startDashboard,
  startFleet,
} from '../verify/scenarios/dashboard-stage.ts';
import { Deployment } from '../verify/scenarios/deployment.ts';

const IMAGES = join(packageRoot, 'deploy', 'docs', 'images');
const DESK = { viewport: { width: 1280, height: 800 } };
const DEAS = 36;
const NAMES = ['web', 'api', 'mailer', 'search', 'billing', 'cart', 'login', 'images', 'reports', 'queue'];

/** Some apps with names and as many with guids, 1 to 12 instances each. */
function apps(): Record<string, number> {
  const guid = (n: number) => `${(0x9e3779b9 * (n + 1)).toString(16).slice(-8)}-8b1e-4f29-9a55-0c2a7f4f8d11`;
  const ids = NAMES.flatMap((name, n) => [name, guid(n)]);
  const sizes = ids.map((id, n): [string, number] => [id, 2 + ((n * 7) % 11)]);
  // Their only instances crash.
  return { ...Object.fromEntries(sizes), mailer: 1, cart: 1, reports: 1 };
}

interface Scene {
  deployment: Deployment;
  dashboard: Dashboard;
}

test('screenshots', async () => {
  const browser = await startBrowser();
  try {
    await play(browser, async ({ deployment, dashboard }) => {
      await deployment.advance(120);
      // Something happened before: its trace is on the time line.
      await lose(deployment, 5);
      await deployment.advance(300);
      await shoot(await dashboard.open('', DESK), 'healthy');
      await shoot(await dashboard.open('', { ...DESK, colorScheme: 'dark' }), 'healthy-dark');
      await deployment.processes.stop('nudger');
      await lose(deployment, 12);
      await shoot(await dashboard.open('', DESK), 'dea-lost');
      const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
      await shoot(await dashboard.open('', phone), 'dea-lost-phone');
      await shoot(await dashboard.open('#/dea/dea-12', DESK), 'dea');
    });
    await play(browser, async ({ deployment, dashboard }) => {
      for (const app of ['mailer', 'cart', 'mailer']) await crashOf(deployment, app);
      // Until its restart, after which it crashes again.
      await deployment.advance(75);
      for (const app of ['mailer', 'cart', 'reports', 'reports']) await crashOf(deployment, app);
      await deployment.advance(5);
      await shoot(await dashboard.open('', DESK), 'flapping');
      await shoot(await dashboard.open('#/droplet/mailer', DESK), 'droplet');
      await shoot(await dashboard.open('#/apps?problem=any', DESK), 'apps');
      await shoot(await dashboard.open('#/decisions?kind=exit', DESK), 'decisions');
    });
    await play(browser, async ({ deployment, dashboard }) => {
      for (let n = 0; n < 24; n++) dea(deployment, n).connected = false;
      await deployment.advance(45);
      await shoot(await dashboard.open('', DESK), 'hold');
      const page = await dashboard.open('', DESK);
      await page.locator('[data-hold=mass_loss] > .act > button').click();
      await page.locator('dialog[open]', { hasText: 'Releasing starts' }).waitFor();
      await shoot(page, 'release');
    });
  } finally {
    await browser.close();
  }
});

/** A fleet of its own, from its beginning to its end. */
async function play(browser: Browser, draft: (of: Scene) => Promise<void>): Promise<void> {
  const deployment = await Deployment.start({ executesRequests: true });
  const dashboard = await startDashboard(deployment, browser);
  try {
    await startFleet(deployment, DEAS, apps());
    await draft({ deployment, dashboard });
  } finally {
    await dashboard.stop();
    await deployment.stop();
  }
}

function dea(deployment: Deployment, n: number) {
  return deployment.dea(`dea-${String(n).padStart(2, '0')}`);
}

/** A DEA falls silent, until it is known to be lost. */
async function lose(deployment: Deployment, n: number): Promise<void> {
  dea(deployment, n).connected = false;
  await deployment.advance(36);
}

/** The first instance of an app crashes. */
async function crashOf(deployment: Deployment, app: string): Promise<void> {
  const host = [...deployment.deas.values()].find((one) => one.guidsOf(app).length > 0);
  const [guid] = host?.guidsOf(app) ?? [];
  if (guid === undefined) throw new Error(`nothing of ${app} runs`);
  host?.end(guid, 'CRASHED', { crashTimestampS: Math.floor(deployment.nowMs() / 1000) });
  await deployment.settle();
  await deployment.heartbeat();
}

async function shoot(page: Page, name: string): Promise<void> {
  const isOverview = !page.url().includes('#');
  await page
    .locator(isOverview ? '.readout' : '.page .panel')
    .first()
    .waitFor();
  // The time line is drawn with the frame after.
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  await page.close();
}
