/** Redis's clock by the server's latest event; the browser's own clock may be wrong. */
import { useEffect, useState } from 'preact/hooks';

let offsetMs = Date.now() - performance.now();

/** A browser's clock that is further off is corrected at once, not with the next second. */
const JUMP_MS = 1_000;
const listeners = new Set<() => void>();

export function setServerTime(nowMs: number): void {
  const jumps = Math.abs(nowMs - serverNow()) > JUMP_MS;
  offsetMs = nowMs - performance.now();
  if (jumps) for (const listener of listeners) listener();
}

export function serverNow(): number {
  return performance.now() + offsetMs;
}

/** The time, updated every second, for ages and countdowns. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    const update = () => setNow(serverNow());
    const timer = setInterval(update, 1000);
    listeners.add(update);
    return () => {
      clearInterval(timer);
      listeners.delete(update);
    };
  }, []);
  return now;
}
