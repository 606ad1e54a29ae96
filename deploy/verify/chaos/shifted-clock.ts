/**
 * Loaded into a process before all else (`--import`). The file named by `CHAOS_CLOCK_FILE` holds how far the wall clock is
 * ahead, in ms; the clock jumps when the file changes. The monotonic clock and timers go on, as on a host whose clock is
 * set.
 */
import { readFileSync } from 'node:fs';

const file = process.env.CHAOS_CLOCK_FILE;
const RealDate = Date;
const realNow = Date.now;
let aheadMs = 0;

function readOffset(): void {
  if (file === undefined) return;
  const value = Number(readFileSync(file, 'utf8'));
  if (Number.isFinite(value)) aheadMs = value;
}

readOffset();
setInterval(readOffset, 250).unref();

Date.now = () => realNow() + aheadMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget) as object,
});
