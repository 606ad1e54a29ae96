/** A deployment with its dashboard in a real browser, new for each test; at its end the pages must have reported no error. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { type Dashboard, startBrowser, startDashboard } from '../dashboard-stage.ts';
import { Deployment } from '../deployment.ts';

export interface DashboardOfTests {
  deployment: Deployment;
  dashboard: Dashboard;
}

export function useDashboard(): DashboardOfTests {
  const of = {} as DashboardOfTests;
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    of.deployment = await Deployment.start({ executesRequests: true });
    of.dashboard = await startDashboard(of.deployment, browser);
  });
  afterEach(async () => {
    const { errors } = of.dashboard;
    await of.dashboard.stop();
    await of.deployment.stop();
    expect(errors).toEqual([]);
  });
  return of;
}

/** Waits for the headline. */
export function headline(page: Page, text: string | RegExp): Promise<void> {
  return waitText(page, '.headline h1', text);
}

/** Waits until an element has the text. */
export function waitText(page: Page, selector: string, text: string | RegExp): Promise<void> {
  return page.locator(selector).filter({ hasText: text }).first().waitFor();
}

/** The page follows within two seconds, or later on a busy machine. */
export function eventually<T>(read: () => Promise<T>) {
  return expect.poll(read);
}
