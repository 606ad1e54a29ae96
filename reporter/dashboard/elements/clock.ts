/** Redis's clock by the server's latest event; the browser's own clock may be wrong. */
import { useEffect, useState } from 'preact/hooks';

let offsetMs = Date.now() - performance.now();

export function setServerTime(nowMs: number): void {
  offsetMs = nowMs - performance.now();
}

export function serverNow(): number {
  return performance.now() + offsetMs;
}

/** The time, updated every second, for ages and countdowns. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
