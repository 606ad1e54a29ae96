import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { metricValue } from '../../../common/testing/context.ts';
import {
  type Dashboard,
  keepPicture,
  READONLY,
  startBrowser,
  startDashboard,
  startFleet,
} from './dashboard-stage.ts';
import { Deployment } from './deployment.ts';

// A browser is slow on a busy machine.

/** Shared by all tests. */
let browser: Browser;
let deployment: Deployment;
let dashboard: Dashboard;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  deployment = await Deployment.start({ executesRequests: true });
  dashboard = await startDashboard(deployment, browser);
});
afterEach(async () => {
  const { errors } = dashboard;
  await dashboard.stop();
  await deployment.stop();
  expect(errors).toEqual([]);
});

const APPS = { web: 4, api: 3, mail: 1 };
const headline = (page: Page, text: string | RegExp) =>
  page.locator('.headline h1').filter({ hasText: text }).waitFor();
const text = (page: Page, selector: string) => page.locator(selector).first().innerText();
const waitText = (page: Page, selector: string, of: string | RegExp) =>
  page.locator(selector).filter({ hasText: of }).first().waitFor();

/** The page follows within two seconds, or later on a busy machine. */
const eventually = <T>(read: () => Promise<T>) => expect.poll(read);

test('a healthy fleet', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 8 wanted instances run.');
  expect(await page.title()).toBe('all run · health manager');
  expect(await page.locator('.attention').count()).toBe(0);
  await waitText(page, '.panel', 'No app needs attention.');
  expect(await text(page, '.readout')).toBe('3 of 3 DEAs alive.');
  await waitText(page, '.panel', /(Nothing was missing|At worst \d)/);
});

test('a lost DEA and the progress of its instances are shown at the top', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open('', { viewport: { width: 1280, height: 720 } });
  const dea = deployment.dea('dea-01');
  dea.connected = false;
  await deployment.advance(20);
  await waitText(page, '[data-dea=dea-01]', /silent for \d+ s: 3 instances run there, lost in \d+ s/);
  await headline(page, 'All 8');
  await deployment.processes.stop('nudger');
  await deployment.advance(10);
  await headline(page, '3 of 8 wanted instances are not running.');
  await waitText(page, '[data-dea=dea-01]', /3 instances are lost; 0 replaced, 3 waiting for a nudger/);
  // Visible without scrolling.
  const box = await page.locator('[data-dea=dea-01]').boundingBox();
  expect(box?.y).toBeLessThan(250);
  await waitText(page, '[data-droplet=web]', /MISSING index 1: dea-01 silent for \d+ s/);
  await waitText(page, '[data-droplet=web] .next', /start waits for a nudger for/);
  await waitText(
    page,
    '.story li',
    /web index 1 is missing \(last listed by dea-01 at \d\d:\d\d:\d\d, .*start decided/,
  );
  await deployment.processes.start('nudger');
  // Until the new instances are in heartbeats.
  await deployment.advance(20);
  await headline(page, 'A DEA is lost; all its wanted instances run elsewhere.');
  await waitText(page, '[data-dea=dea-01]', 'its 3 instances run elsewhere');
});

test('the queue pages list the starts for a lost DEA, with their outcomes', async () => {
  await startFleet(deployment, 3, APPS);
  deployment.dea('dea-01').connected = false;
  await deployment.advance(45);
  const page = await dashboard.open();
  await page.goto(new URL('/queues/queue/starts?status=completed', page.url()).href);
  await waitText(page, 'body', /Instances to start, most urgent first/);
  for (const slot of ['api/0', 'web/1', 'mail/0']) await waitText(page, 'body', `missing: start ${slot}`);
  await waitText(page, 'body', /droplet:\s*"web",\s*index:\s*1,/);
  await waitText(page, 'body', /returnValue:\s*"sent"/);
});

test('the page of a DEA is reached by keyboard from the map and lists its lost instances', async () => {
  await startFleet(deployment, 3, APPS);
  deployment.dea('dea-01').connected = false;
  await deployment.processes.stop('nudger');
  await deployment.advance(35);
  const page = await dashboard.open();
  await waitText(page, '.readout', '1 lost');
  await page.locator('canvas').first().scrollIntoViewIfNeeded();
  await page.locator('.map canvas').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await waitText(page, '.readout', 'dea-01: lost, 3 instances');
  await page.keyboard.press('Enter');
  await waitText(page, '.page-head', /lost\s*Last heartbeat \d+ s ago, with 3 instances/);
  expect(await page.evaluate('document.activeElement.innerText')).toBe('dea-01');
  expect(await page.locator('.slots tbody tr').count()).toBe(3);
  await waitText(page, '.slots tbody tr', /web\s*1\s*MISSING\s*start waits for a nudger/);
  await page.locator('.slots tbody a').first().focus();
  await page.keyboard.press('Enter');
  await waitText(page, '.page-head', /app/);
});

test('the tab key reaches every part of the overview', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 8');
  const reached: string[] = [];
  for (let n = 0; n < 40; n++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate<string>('document.activeElement.tagName'));
  }
  expect(reached).toEqual(expect.arrayContaining(['A', 'INPUT', 'CANVAS', 'SUMMARY']));
});

test('a flapping app is shown with its crash count and a countdown to its restart', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  const crash = async () => {
    const dea = [...deployment.deas.values()].find((one) => one.guidsOf('mail').length > 0);
    const [guid] = dea?.guidsOf('mail') ?? [];
    dea?.end(guid as string, 'CRASHED', { crashTimestampS: Math.floor(deployment.nowMs() / 1000) });
    await deployment.settle();
    await deployment.heartbeat();
  };
  await crash();
  await crash();
  await waitText(page, '[data-droplet=mail]', /FLAPPING index 0: 2 crashes in a row, the last \d+ s ago/);
  const dueS = async () =>
    Number(/restart in (\d+) s/.exec(await text(page, '[data-droplet=mail] .next'))?.[1]);
  const first = await dueS();
  expect(first).toBeGreaterThan(50);
  await deployment.advance(20);
  await eventually(dueS).toBeLessThanOrEqual(first - 18);
  await page.locator('[data-droplet=mail] a').first().click();
  await waitText(page, '.page-head', '0 of 1 running');
  await waitText(page, '.slots', /FLAPPING/);
  await waitText(page, '.story.long', /flapping, restart in/);
});

test('a hold is shown with its age and its apps; its release needs a confirmation, is logged, and takes effect', async () => {
  await startFleet(deployment, 4, APPS);
  const page = await dashboard.open();
  for (const name of ['dea-00', 'dea-01', 'dea-02']) deployment.dea(name).connected = false;
  await deployment.advance(45);
  await waitText(page, '[data-hold=mass_loss]', /Hold mass_loss for \d+ s: 3 of 4 DEAs went silent at once/);
  await waitText(page, '[data-hold=mass_loss]', /It affects \d apps?\..*It ends in/);
  await headline(page, /6 of 8 wanted instances are not running\. The hold mass_loss is on\./);
  expect(deployment.takeSent()).toEqual([]);
  const button = page.locator('[data-hold=mass_loss] > .act > button');
  await button.click();
  await waitText(page, 'dialog[open]', '3 DEAs are silent. Releasing starts 6 instances of 2 apps elsewhere');
  await keepPicture(page, 'release');
  await page.locator('dialog[open] button', { hasText: 'Cancel' }).click();
  expect(await deployment.observer.client.hexists(deployment.observer.keys.holds, 'release_mass_loss')).toBe(
    0,
  );
  await button.press('Enter');
  await page.locator('dialog[open] button.primary').click();
  await waitText(page, '[data-hold=mass_loss] [role=status]', 'release requested');
  expect(await button.isDisabled()).toBe(true);
  expect(dashboard.context.lines).toContainEqual(
    expect.objectContaining({
      event: 'operator_act',
      act: 'release',
      hold: 'mass_loss',
      outcome: 'done',
      from: '127.0.0.1',
    }),
  );
  await deployment.advance(10);
  await page.locator('[data-hold]').waitFor({ state: 'detached' });
  await headline(page, 'all their wanted instances run elsewhere');
  expect(deployment.takeSent().length).toBe(6);
});

test('an operator pauses an app with a reason, everybody sees it, and resumes it', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open('#/droplet/web');
  await page.locator('.acts button', { hasText: 'Pause app web' }).first().click();
  const dialog = page.locator('dialog[open]');
  await dialog.locator('button.primary').click();
  await waitText(page, '.acts [role=status]', 'not done: a reason is needed');
  await page.locator('.acts button', { hasText: 'Pause app web' }).first().click();
  await dialog.locator('select').first().selectOption('starts');
  await dialog.locator('input').fill('database is moved');
  await keepPicture(page, 'pause');
  await dialog.locator('button.primary').click();
  await waitText(page, '.acts [role=status]', 'paused');
  const other = await dashboard.open();
  await waitText(
    other,
    '[data-hold=operator]',
    /operator paused starts of web: database is moved\. It ends in/,
  );
  // What was paused on purpose is no alarm.
  await headline(other, /^operator paused starts of web: database is moved; it ends in (1 h|\d+ min)\.$/);
  await other.locator('.headline.warn').waitFor();
  deployment.dea('dea-01').connected = false;
  await deployment.advance(45);
  await headline(
    other,
    /it ends in \d+ min\. 1 of 8 wanted instances does not run because of it\. A DEA is lost\.$/,
  );
  await other.locator('.headline.warn').waitFor();
  expect(await other.locator('[data-figure=missing] .bad').count()).toBe(0);
  await keepPicture(other, 'paused');
  await other.locator('[data-hold=operator] button', { hasText: 'Resume starts of web' }).first().click();
  await other.locator('dialog[open] button.confirm').click();
  await other.locator('[data-hold=operator]').waitFor({ state: 'detached' });
  await waitText(other, '.panel', /operator resumed starts of web/);
  await other.locator('.acts button', { hasText: 'Sync now' }).first().click();
  await other.locator('dialog[open] button.confirm').click();
  await waitText(other, '.acts [role=status]', 'requested');
  await waitText(other, '.panel', /operator requested a bulk sync/);
});

test('the read-only login sees the fleet, its holds and pages, and no button that acts', async () => {
  await startFleet(deployment, 3, APPS);
  const operator = await dashboard.open();
  await operator.locator('.acts button', { hasText: 'Pause everything' }).first().click();
  await operator.locator('dialog[open] input').fill('migration');
  await operator.locator('dialog[open] button.primary').click();
  await waitText(operator, '.acts [role=status]', 'paused');
  const httpCredentials = { username: READONLY.user, password: READONLY.password };
  const page = await dashboard.open('', { httpCredentials });
  await waitText(page, '[data-hold=operator]', /operator paused starts and stops of everything: migration/);
  expect(await page.locator('.act, .acts').count()).toBe(0);
  await keepPicture(page, 'readonly');
  for (const [hash, head] of [
    ['#/droplet/web', /web\s*copy\s*4 of 4 running/] as const,
    ['#/dea/dea-01', /alive/] as const,
  ]) {
    const one = await dashboard.open(hash, { httpCredentials });
    await waitText(one, '.page-head', head);
    expect(await one.locator('.act button').count()).toBe(0);
  }
  expect(await operator.locator('.act button').count()).toBeGreaterThan(0);
});

test('the search finds apps and DEAs, and reports an unknown name', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  const search = page.locator('input[type=search]');
  await search.fill('nobody');
  await search.press('Enter');
  await waitText(page, '.search', 'No app and no DEA has the guid nobody');
  await search.fill('web');
  await search.press('Enter');
  await waitText(page, '.page-head', /web\s*copy\s*4 of 4 running\s*Wanted: STARTED, 4 instances/);
  await search.fill('dea-02');
  await search.press('Enter');
  await waitText(page, '.page-head', /dea-02\s*copy\s*alive/);
  expect(dashboard.errors.splice(0)).toEqual([expect.stringContaining('404')]);
});

describe('appearance', () => {
  test('on a phone no page is wider than the screen', async () => {
    await startFleet(deployment, 3, { ...APPS, 'a3c1f0de-8b1e-4f29-9a55-0c2a7f4f8d11': 3 });
    deployment.dea('dea-01').connected = false;
    await deployment.processes.stop('nudger');
    await deployment.advance(35);
    for (const hash of ['', '#/droplet/web', '#/dea/dea-01']) {
      const page = await dashboard.open(hash, { viewport: { width: 360, height: 740 }, hasTouch: true });
      await headline(page, /wanted instances are not running/);
      if (hash !== '') await page.locator('.slots').first().waitFor();
      expect([hash, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([hash, 360]);
      await page.close();
    }
  });

  test.each([
    ['dark', 'rgb(17, 21, 24)'],
    ['light', 'rgb(244, 245, 246)'],
  ] as const)('is %s if the system is', async (colorScheme, background) => {
    const page = await dashboard.open('', { colorScheme });
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(background);
  });
});

test('a map of 10,000 DEAs is one canvas and adds no elements', async () => {
  // Until it is known what runs.
  await deployment.advance(35);
  const { client, keys } = deployment.observer;
  const deas = Array.from({ length: 10_000 }, (_, n) => `dea-${String(n).padStart(5, '0')}`);
  await client.zadd(keys.deasLastHeartbeat, ...deas.flatMap((dea) => [deployment.nowMs(), dea]));
  await client.hset(keys.deasCount, Object.fromEntries(deas.map((dea, n) => [dea, n % 100])));
  const page = await dashboard.open();
  await waitText(page, '.readout', '10000 of 10000 DEAs alive.');
  const size = () => page.evaluate(`document.querySelectorAll('*').length`);
  expect(await size()).toBeLessThan(300);
  await page.locator('.map-list summary').click();
  await page.locator('.map-list tbody tr').first().waitFor();
  expect(await size()).toBeLessThan(700);
  await page.locator('.filter input').fill('dea-0777');
  await eventually(() => page.locator('.map-list tbody tr').count()).toBe(10);
  // A change sends only the changed DEA, not ten thousand cells.
  await client.hset(keys.deasCount, 'dea-07777', 1234);
  await waitText(page, '.map-list tbody tr', /dea-07777\s*alive\s*1,234/);
});

test('all viewers share one read of Redis, and without a viewer nothing is read', async () => {
  await startFleet(deployment, 3, APPS);
  const { client, keys } = deployment.observer;
  // XREAD calls of one poll: one, or one for each slice in a cluster. No other code calls it.
  const readsAPoll = 'nodes' in client ? keys.slices : 1;
  const reads = async () => {
    const nodes = 'nodes' in client ? client.nodes('master') : [client];
    const stats = await Promise.all(nodes.map((node) => node.info('commandstats')));
    return stats.reduce((sum, info) => sum + Number(/cmdstat_xread:calls=(\d+)/.exec(info)?.[1] ?? 0), 0);
  };
  const readsWithin = async (ms: number) => {
    const before = await reads();
    await delay(ms);
    return (await reads()) - before;
  };
  const pages = [await dashboard.open(), await dashboard.open(), await dashboard.open()];
  expect(await metricValue(dashboard.context.metrics, 'hm_dashboard_viewers')).toBe(3);
  const withViewers = await readsWithin(3_000);
  expect(withViewers).toBeGreaterThanOrEqual(1);
  expect(withViewers).toBeLessThanOrEqual(4 * readsAPoll);
  for (const page of pages) await page.close();
  await eventually(() => metricValue(dashboard.context.metrics, 'hm_dashboard_viewers')).toBe(0);
  await delay(200);
  expect(await readsWithin(1_500)).toBe(0);
});

test('the page reports a lost connection when the reporter is gone', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 8');
  await dashboard.context.lifecycle.stop();
  await headline(page, 'The connection to the reporter is lost');
  dashboard.errors.splice(0);
});
