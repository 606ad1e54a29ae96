import { type Browser, chromium, type Page } from 'playwright-core';

/** Debian's package. Set-up installs it for the tests. */
const PROGRAM = '/usr/bin/chromium';

/** A browser that talks to nobody but the pages that a test opens. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: PROGRAM,
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

export type { Browser, Page };
