import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { keepPicture, startFleet } from '../dashboard-stage.ts';
import { eventually, headline, useDashboard, waitText } from './use-dashboard.ts';

// A browser is slow on a busy machine.

const of = useDashboard();
const APPS = { web: 6, api: 5, mail: 1, 'a3c1f0de-8b1e-4f29-9a55-0c2a7f4f8d11': 3 };
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds, one line each. */
async function problemsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate<{
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  }>('axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })');
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 150)} ${failureSummary}`),
  );
}

/** A lost DEA without a nudger, a crash loop, a pause: most of what the page can show. */
async function makeTrouble(): Promise<void> {
  const { deployment } = of;
  await startFleet(deployment, 4, APPS);
  for (let n = 0; n < 2; n++) {
    const dea = [...deployment.deas.values()].find((one) => one.guidsOf('mail').length > 0);
    const [guid = ''] = dea?.guidsOf('mail') ?? [];
    dea?.end(guid, 'CRASHED', { crashTimestampS: Math.floor(deployment.nowMs() / 1000) });
    await deployment.settle();
    await deployment.heartbeat();
  }
  await deployment.processes.stop('nudger');
  deployment.dea('dea-01').connected = false;
  await deployment.advance(45);
}

const PAGES = ['', '#/apps', '#/decisions', '#/droplet/web', '#/dea/dea-01', '#/apps?problem=any'];

test('axe finds no problem on any page, light or dark, in trouble or not', async () => {
  await makeTrouble();
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const hash of PAGES) {
      const page = await of.dashboard.open(hash, { colorScheme });
      await headline(page, /wanted instances are not running/);
      await page
        .locator(hash === '' ? '.timeline' : '.page .panel')
        .first()
        .waitFor();
      found.push(...(await problemsOf(page)).map((problem) => `${colorScheme} ${hash} ${problem}`));
      await page.close();
    }
  }
  const page = await of.dashboard.open();
  await page.locator('.acts button', { hasText: 'Pause everything' }).first().click();
  await page.locator('dialog[open]').waitFor();
  found.push(...(await problemsOf(page)));
  await page.locator('dialog[open] input').fill('switches are replaced');
  await page.locator('dialog[open] button.primary').click();
  await headline(page, /paused starts and stops of everything/);
  found.push(...(await problemsOf(page)));
  await keepPicture(page, 'trouble');
  expect(found).toEqual([]);
});

test('an empty deployment: no decoration, nothing red', async () => {
  await of.deployment.advance(45);
  const page = await of.dashboard.open();
  await headline(page, 'No instances are wanted.');
  await waitText(page, '.panel', 'No app needs attention.');
  await waitText(page, '.readout', 'No DEA is known.');
  expect(await page.locator('main .bad').count()).toBe(0);
  await keepPicture(page, 'empty');
  expect(await problemsOf(page)).toEqual([]);
});

test('no page is wider than a small desk or a phone', async () => {
  await makeTrouble();
  for (const [width, height] of [
    [1024, 768],
    [390, 844],
  ] as const) {
    for (const hash of PAGES) {
      const page = await of.dashboard.open(hash, { viewport: { width, height } });
      await headline(page, /wanted instances are not running/);
      await page
        .locator(hash === '' ? '.troubled' : '.page .panel')
        .first()
        .waitFor();
      await keepPicture(page, `width-${width}-${PAGES.indexOf(hash)}`);
      expect([hash, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([hash, width]);
      await page.close();
    }
  }
});

test('/ goes to the search, ? lists the keys, and neither in a field', async () => {
  const page = await of.dashboard.open();
  await page.keyboard.press('/');
  await page.keyboard.type('a/?');
  expect(await page.locator('input[type=search]').inputValue()).toBe('a/?');
  await page.locator('input[type=search]').blur();
  await page.keyboard.press('?');
  await waitText(page, 'dialog.keys[open]', /to the search/);
  expect(await problemsOf(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await eventually(() => page.locator('dialog.keys[open]').count()).toBe(0);
  await waitText(page, '.foot', 'Times are in UTC.');
});

test('the chart: values under the pointer, a mark for a hold, the last day', async () => {
  const { deployment, dashboard } = of;
  await startFleet(deployment, 4, APPS);
  for (const name of ['dea-00', 'dea-01', 'dea-02']) deployment.dea(name).connected = false;
  await deployment.advance(240);
  const page = await dashboard.open('', { viewport: { width: 1280, height: 1000 } });
  await headline(page, /The hold mass_loss is on\. 3 DEAs are lost\./);
  await waitText(page, '.timeline .pointed', /^At worst \d+ of 15 were not running, at/);
  const box = await page.locator('.chart').boundingBox();
  if (box === null) throw new Error('the chart has no box');
  await page.mouse.move(box.x + box.width - 40, box.y + box.height / 2);
  await waitText(page, '.timeline .pointed', /\d of 15 running, \d+ missing; hold mass_loss$/);
  // One row each: their DEAs differ, and nothing else.
  await waitText(
    page,
    '[data-droplet=web]',
    /MISSING indices 0 to 2, 4 and 5: 3 DEAs silent for \d+ s\s*held back: mass_loss/,
  );
  await waitText(page, '.story li', /indices of \d apps are not started: hold mass_loss: /);
  await keepPicture(page, 'chart');
  await page.mouse.move(2, 2);
  await page.locator('.ranges button', { hasText: '24 h' }).click();
  await page.locator('.ranges button[aria-pressed=true]', { hasText: '24 h' }).waitFor();
  await page.waitForTimeout(300);
  await keepPicture(page, 'chart-24h');
});

test('more than ten apps that need attention are ten rows and a link; the map tells what is under the pointer', async () => {
  const { deployment, dashboard } = of;
  const many = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`app-${n}`, 3]));
  await startFleet(deployment, 3, many);
  await deployment.processes.stop('nudger');
  deployment.dea('dea-00').connected = false;
  await deployment.advance(45);
  const page = await dashboard.open('', { viewport: { width: 1280, height: 1000 } });
  await waitText(page, '.panel a', /^and \d more$/);
  expect(await page.locator('.troubled tbody').count()).toBe(10);
  const canvas = page.locator('.map canvas');
  await canvas.hover({ position: { x: 10, y: 10 } });
  await waitText(page, '.tooltip', /^dea-00: lost, \d+ instances$/);
  await keepPicture(page, 'tooltip');
});

test('a guid is copied whole', async () => {
  await startFleet(of.deployment, 3, APPS);
  const guid = 'a3c1f0de-8b1e-4f29-9a55-0c2a7f4f8d11';
  const page = await of.dashboard.open(`#/droplet/${guid}`, {
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await page.locator('.page-head .copy').click();
  await waitText(page, '.page-head .copy', 'copied');
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(guid);
  // And links by the templates of the configuration.
  const href = (text: string) => page.locator('a', { hasText: text }).getAttribute('href');
  expect(await href('Its page on console.example.com')).toBe(`https://console.example.com/apps/${guid}`);
  expect(await href('grafana')).toBe('https://grafana.example.com/');
});
