/** Redis's clock, as the server tells it; the browser's own may be wrong. */
import { useEffect, useState } from 'preact/hooks';

let offsetMs = Date.now() - performance.now();

export function setServerTime(nowMs: number): void {
  offsetMs = nowMs - performance.now();
}

export function serverNow(): number {
  return performance.now() + offsetMs;
}

/** Now, again every second: for what counts up or down. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
