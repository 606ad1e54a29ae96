/** Set-up of every test file (vitest.config.ts): a file that leaves something open fails. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll } from 'vitest';
import { listOpenHandles } from './open-handles.ts';

/** Closing takes a moment: open handles are listed this often before they count as leaks. */
const ATTEMPTS = 100;
const BETWEEN_MS = 20;

const before = new Set(listOpenHandles());

// Registered first, so it runs last, after the file's own hooks.
afterAll(async () => {
  for (let attempt = 1; ; attempt++) {
    const open = listOpenHandles().filter((handle) => !before.has(handle));
    if (open.length === 0) return;
    if (attempt === ATTEMPTS) throw new Error(`left open by this test file:\n  ${open.join('\n  ')}`);
    await delay(BETWEEN_MS);
  }
});
