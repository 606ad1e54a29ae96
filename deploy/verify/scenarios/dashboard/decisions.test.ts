import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { keepPicture, startFleet } from '../dashboard-stage.ts';
import { eventually, headline, useDashboard, waitText } from './use-dashboard.ts';

// A browser is slow on a busy machine.

const of = useDashboard();

test('the decisions page: filters in its address, pause, files, and a title that names it', async () => {
  const { deployment, dashboard } = of;
  await startFleet(deployment, 3, { web: 4, api: 3, mail: 1 });
  deployment.dea('dea-01').connected = false;
  await deployment.advance(45);
  const page = await dashboard.open();
  await headline(page, 'A DEA is lost');
  await page.locator('.nav a', { hasText: 'decisions' }).click();
  await waitText(page, '.story li', /web index 1: start sent \(missing\)/);
  await eventually(() => page.title()).toMatch(/^decisions · recovered · health manager$/);
  await keepPicture(page, 'decisions');
  const lines = page.locator('.page .story li');
  const all = await lines.count();

  await page.locator('.filter select').first().selectOption('sent');
  await eventually(() => lines.count()).toBeLessThan(all);
  await page.locator('.filter input').first().fill('MAI');
  // What is typed stays while the page is read again.
  await page.waitForResponse(/api\/decisions/);
  await page.waitForResponse(/api\/decisions/);
  expect(await page.locator('.filter input').first().inputValue()).toBe('MAI');
  await page.locator('.filter input').first().press('Enter');
  await eventually(() => lines.allInnerTexts()).toEqual([
    expect.stringMatching(/mail\s*index 0: start sent/),
  ]);
  expect(page.url()).toMatch(/#\/decisions\?app=MAI&kind=sent$/);
  // The same address shows the same in another tab.
  const other = await dashboard.open('#/decisions?app=MAI&kind=sent');
  await waitText(other, '.story li', /mail\s*index 0: start sent/);
  expect(await other.locator('.filter select').first().inputValue()).toBe('sent');
  await other.goto(new URL('#/decisions?dea=dea-01&reason=missing', other.url()).href);
  await waitText(other, '.story li', /is missing \(last listed by dea-01/);
  await other.locator('.filter select').nth(2).selectOption('between');
  await other.locator('.filter input[type=datetime-local]').first().waitFor();
  await keepPicture(other, 'decisions-between');
  await other.goto(new URL('#/decisions?until=24h', other.url()).href);
  await waitText(other, '.empty', 'No such decision.');

  const downloading = page.waitForEvent('download');
  await page.locator('.tools a', { hasText: 'CSV' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toMatch(/^decisions-.*\.csv$/);
  const rows = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n');
  expect(rows).toEqual([expect.stringContaining('time,atMs'), expect.stringContaining(',sent,mail,')]);

  await page.locator('.tools button').click();
  await page.locator('.tools button[aria-pressed=true]', { hasText: 'Resume updates' }).waitFor();
  await page.goto(new URL('#/decisions?app=api', page.url()).href);
  await waitText(page, '.story li', 'api');
  const paused = await lines.count();
  deployment.dea('dea-02').connected = false;
  await deployment.advance(45);
  await page.waitForTimeout(4_000);
  expect(await lines.count()).toBe(paused);
  await page.locator('.tools button').click();
  await eventually(() => lines.count()).toBeGreaterThan(paused);
});
