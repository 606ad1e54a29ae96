/** Set-up of every test file (vitest.config.ts): a file that leaves something open fails. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll } from 'vitest';
import { whatIsOpen } from './open-handles.ts';

/** Closing takes a moment: it is looked for this often before it counts as a leak. */
const LOOKS = 100;
const BETWEEN_MS = 20;

const before = new Set(whatIsOpen());

// Registered first, so it runs last, after the file's own hooks.
afterAll(async () => {
  for (let look = 1; ; look++) {
    const open = whatIsOpen().filter((thing) => !before.has(thing));
    if (open.length === 0) return;
    if (look === LOOKS) throw new Error(`left open by this test file:\n  ${open.join('\n  ')}`);
    await delay(BETWEEN_MS);
  }
});
