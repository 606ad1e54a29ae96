/** What an operator sees in trouble: dashboard, `hm top`, `hm explain`, `/api/fleet`, `/varz` and metrics show one state. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { metricValue } from '../../../common/testing/context.ts';
import { hmText, withoutSeconds } from './dashboard/on-terminal.ts';
import { type Dashboard, keepPicture, startBrowser, startDashboard, startFleet } from './dashboard-stage.ts';
import { Deployment } from './deployment.ts';

// A browser is slow on a busy machine.

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

const APPS = { web: 6, api: 5, mail: 1 };
const headline = (page: Page, text: string | RegExp) =>
  page.locator('.headline h1').filter({ hasText: text }).waitFor();
const waitText = (page: Page, selector: string, of: string | RegExp) =>
  page.locator(selector).filter({ hasText: of }).first().waitFor();

/** A JSON page of the reporter, as the browser of the page reads it. */
const read = <T>(page: Page, path: string) =>
  page.evaluate(`fetch(${JSON.stringify(path)}).then((reply) => reply.json())`) as Promise<T>;
interface FleetJson {
  status: { level: string; text: string };
  actual_state_known: boolean;
  deas: Record<string, number>;
  totals: Record<string, number>;
  processes: { working: Record<string, number> };
}
const fleet = (page: Page) => read<FleetJson>(page, '/api/fleet');
const metric = (name: string, labels: Record<string, string>) =>
  metricValue(dashboard.context.metrics, name, labels);

/** The colours that the page shows, apart from those of text. */
const greens = (page: Page) =>
  page.evaluate(`(() => {
    const style = getComputedStyle(document.querySelector('main'));
    return [style.getPropertyValue('--good'), style.getPropertyValue('--shade-3')];
  })()`) as Promise<string[]>;

/** `hm top` has the headline of the page, and what it shows besides; `hm explain` of the app has its reason and what to do. */
async function terminalSays(page: Page, app: string, top: RegExp, explain: RegExp): Promise<void> {
  const text = await hmText(deployment, 'top', '--once');
  const shown = (await page.locator('.headline h1').textContent()) ?? '';
  expect(withoutSeconds(text)).toContain(withoutSeconds(shown));
  expect(text).toMatch(top);
  expect(await hmText(deployment, 'explain', app)).toMatch(explain);
}

test('NATS stopped: what runs is not known, with the cause, and nothing is green', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12 wanted instances run.');
  const [good] = await greens(page);
  await deployment.killNats();
  await deployment.advance(13);
  await headline(page, /Not known what runs: no heartbeats for 1\d s \(12 ran then\); NATS is away\./);
  expect(await page.locator('main.unknown').count()).toBe(1);
  expect((await greens(page))[0]).not.toBe(good);
  await waitText(page, '[data-figure=running]', /\?\s*12 ran when last known/);
  await waitText(page, '[data-figure=missing]', 'not known');
  await waitText(page, '[data-figure=DEAs]', 'not known');
  await waitText(page, '.readout', 'Not known which of 3 DEAs are alive.');
  expect(await page.locator('[data-dea]').count()).toBe(0);
  await waitText(page, '[data-idle]', 'NATS is away: ingest, sync, nudger and reporter wait for it');
  expect(await page.locator('[data-idle]').count()).toBe(1);
  await keepPicture(page, 'nats-stopped');
  await terminalSays(
    page,
    'web',
    /not known what runs \(12 ran when last known\).*3 DEAs, not known which are alive.*ingest waits/s,
    /^Not known what runs: no heartbeats for \d+ s \(6 ran then\); NATS is away\.$.*^hold actual_not_fresh: /ms,
  );
  const overview = page.url();
  await page.goto(new URL('#/droplet/web', overview).href);
  await waitText(page, '.page-head', 'Not known what runs; 6 of 6 ran when last known');
  await page.goto(overview);
  const json = await fleet(page);
  expect(json.status).toMatchObject({ level: 'unknown', text: expect.stringContaining('NATS is away') });
  expect(json.actual_state_known).toBe(false);
  expect(await read(page, '/varz')).toMatchObject({ actual_state_known: false, running_instances: 12 });
  expect(await metric('hm_fleet', { what: 'missing' })).toBe(0);
  const text = await dashboard.context.metrics.metrics();
  expect(text).not.toMatch(/hm_fleet\{what="(running|missing)"/);
  expect(text).not.toContain('hm_deas{');
  expect(await metric('hm_processes', { kind: 'ingest' })).toBe(0);

  await deployment.restartNats();
  await deployment.advance(10);
  await headline(page, /Not known yet what runs \(12 ran then\): heartbeats are received again for \d+ s/);
  await keepPicture(page, 'nats-back');
  await deployment.advance(40);
  await headline(page, 'All 12 wanted instances run.');
  expect(deployment.takeSent()).toEqual([]);
});

test('the only nudger stopped: no start leaves, and every story waits for a nudger', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12');
  await deployment.processes.stop('nudger');
  deployment.dea('dea-01').connected = false;
  await deployment.advance(45);
  await headline(
    page,
    /4 of 12 wanted instances are not running\. A DEA is lost\. No nudger takes jobs: no start leaves, for 4\d s \(none runs\)\./,
  );
  await waitText(page, '[data-kind=nudger]', /nudger none for 4\d s/);
  await waitText(page, '[data-droplet=web] .next', /start waits for a nudger for \d+ s/);
  await waitText(page, '[data-dea=dea-01]', /4 waiting for a nudger/);
  await waitText(page, '[data-figure="starts queued"]', 'no nudger takes them');
  await page.locator('.processes summary').click();
  await keepPicture(page, 'nudger-stopped');
  await terminalSays(
    page,
    'web',
    /nudger none for 4\d s/,
    /MISSING {3}start \(missing\) waits for a nudger for/,
  );
  expect(await metric('hm_processes', { kind: 'nudger' })).toBe(0);
  expect(await metric('hm_processes', { kind: 'ingest' })).toBe(1);
  expect((await fleet(page)).processes.working).toEqual({
    ingest: 1,
    sync: 1,
    analyzer: 1,
    nudger: 0,
    reporter: 1,
  });
  await page.goto(new URL('#/droplet/web', page.url()).href);
  await waitText(page, '.slots', /start waits for a nudger/);
  await deployment.processes.start('nudger');
  await deployment.advance(20);
  await headline(page, 'A DEA is lost; all its wanted instances run elsewhere.');
});

test('a drained DEA is leaving, then has left: no alarm, and no lost DEA', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12');
  const dea = deployment.dea('dea-01');
  deployment.publish('dea.shutdown', { id: 'dea-01', ip: '10.0.0.1', version: '1', app_id_to_count: {} });
  await deployment.settle();
  await waitText(page, '[data-figure=DEAs]', '1 leaving');
  await waitText(page, '.readout', '2 of 3 DEAs alive, 1 leaving.');
  for (const app of Object.keys(APPS)) for (const guid of dea.guidsOf(app)) dea.end(guid, 'DEA_SHUTDOWN');
  dea.connected = false;
  await deployment.advance(60);
  await headline(page, /^All 12 wanted instances run\.$/);
  await waitText(page, '[data-figure=DEAs]', /2\s*1 left/);
  expect(await page.locator('.attention').count()).toBe(0);
  await keepPicture(page, 'drained');
  await terminalSays(page, 'web', /DEAs +2 alive, 0 late, 0 lost, 1 left/, /6 of 6 run/);
  expect((await fleet(page)).deas).toEqual({ alive: 2, late: 0, lost: 0, leaving: 0, left: 1 });
  expect(await metric('hm_deas', { state: 'lost' })).toBe(0);
  expect(await metric('hm_deas', { state: 'left' })).toBe(1);
  await page.goto(new URL('#/dea/dea-01', page.url()).href);
  await waitText(page, '.page-head', /left\s*Last heartbeat/);
});

test('two lost DEAs are two, and mass_loss is written nowhere', async () => {
  await startFleet(deployment, 6, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12');
  for (const name of ['dea-01', 'dea-02']) deployment.dea(name).connected = false;
  await deployment.processes.stop('nudger');
  await deployment.advance(32);
  await headline(page, /4 of 12 wanted instances are not running\. 2 DEAs are lost\./);
  await waitText(page, '[data-figure=DEAs]', /6\s*2 lost/);
  await keepPicture(page, 'two-lost');
  await deployment.processes.start('nudger');
  await deployment.advance(20);
  await headline(page, '2 DEAs are lost; all their wanted instances run elsewhere.');
  expect(await page.locator('body').innerText()).not.toContain('mass_loss');
  for (const app of Object.keys(APPS))
    expect(JSON.stringify(await deployment.decisions(app))).not.toContain('mass_loss');
});

test('the whole fleet cut off at once: held, never waiting', async () => {
  await startFleet(deployment, 4, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12');
  for (const name of ['dea-00', 'dea-01', 'dea-02']) deployment.dea(name).connected = false;
  await deployment.advance(45);
  await headline(
    page,
    /9 of 12 wanted instances are not running\. The hold mass_loss is on\. 3 DEAs are lost\./,
  );
  await waitText(page, '[data-figure=missing]', /9\s*9 held back/);
  await waitText(page, '[data-dea=dea-01]', /0 replaced, 3 held back/);
  expect(await page.locator('main').innerText()).not.toMatch(
    /waiting for their start|about to be reconciled/,
  );
  await keepPicture(page, 'cut-off');
  await terminalSays(
    page,
    'web',
    /9 missing,.*9 held back.*mass_loss since .*3 of 4 DEAs went silent at once.*\(hm release mass_loss\)/s,
    /MISSING {3}not started: hold mass_loss\n.*^hold mass_loss: .*\(hm release mass_loss\)/ms,
  );
});

test('why an app crashed is on its page, in the table, in the story and in JSON', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12');
  for (let n = 0; n < 2; n++) {
    const dea = [...deployment.deas.values()].find((one) => one.guidsOf('mail').length > 0);
    const [guid] = dea?.guidsOf('mail') ?? [];
    dea?.end(guid as string, 'CRASHED', { crashTimestampS: Math.floor(deployment.nowMs() / 1000) });
    await deployment.settle();
    await deployment.heartbeat();
  }
  await waitText(page, '[data-droplet=mail]', /2 crashes in a row, the last \d+ s ago \(exit status 1/);
  await waitText(page, '[data-figure=missing]', /1\s*1 flapping/);
  await waitText(page, '.story li', /mail index 0 crashed \(exit status 1/);
  await keepPicture(page, 'crash-loop');
  await terminalSays(
    page,
    'mail',
    /mail +0\/1 +FLAPPING +0 +2 crashes in a row, the last .* ago \(exit status 1/,
    /FLAPPING {2}2 crashes in a row, .*\(exit status 1.*\n.*to try at once: hm retry mail\n.*index 0 crashed \(exit status 1/s,
  );
  const { crashes } = await read<{ crashes: Record<string, unknown> }>(page, '/api/droplets/mail');
  expect(Object.values(crashes)).toContainEqual(expect.objectContaining({ exit_status: 1 }));
  await page.goto(new URL('#/droplet/mail', page.url()).href);
  await waitText(page, '.slots', /FLAPPING.*2 crashes in a row.*\(exit status 1/s);
});

test('the apps page: those that need attention, a part of a guid, and a link to it from the search', async () => {
  await startFleet(deployment, 3, APPS);
  const page = await dashboard.open();
  await headline(page, 'All 12');
  await page.locator('.nav a', { hasText: 'apps' }).click();
  await waitText(page, '.page-head', 'All apps');
  await waitText(page, '[data-droplet=mail]', /1\/1\s*none/);
  await expect.poll(() => page.locator('tbody[data-droplet]').count()).toBe(3);
  const search = page.locator('input[type=search]');
  await search.fill('ai');
  await search.press('Enter');
  await waitText(page, '.page-head', 'All apps with “ai”');
  // The browser notes that no app has exactly this guid.
  expect(dashboard.errors.splice(0)).toEqual([expect.stringContaining('404')]);
  await expect.poll(() => page.locator('tbody[data-droplet]').count()).toBe(1);
  await deployment.processes.stop('nudger');
  deployment.dea('dea-01').connected = false;
  await deployment.advance(45);
  await page.goto(new URL('#/apps?problem=any', page.url()).href);
  await waitText(page, '.page-head', 'Apps that need attention');
  await waitText(page, '[data-droplet=web]', /4\/6/);
  await keepPicture(page, 'apps');
  await expect.poll(() => page.locator('tbody[data-droplet]').count()).toBe(2);
});
