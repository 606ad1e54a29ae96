/**
 * Loaded into a process before all else (`--import`): its wall clock is ahead by what the file that
 * `CHAOS_CLOCK_FILE` names says, in ms, and jumps when that changes. The monotonic clock and timers go on as they do on
 * a host whose clock is set.
 */
import { readFileSync } from 'node:fs';

const file = process.env.CHAOS_CLOCK_FILE;
const RealDate = Date;
const realNow = Date.now;
let aheadMs = 0;

function look(): void {
  if (file === undefined) return;
  const value = Number(readFileSync(file, 'utf8'));
  if (Number.isFinite(value)) aheadMs = value;
}

look();
setInterval(look, 250).unref();

Date.now = () => realNow() + aheadMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget) as object,
});
