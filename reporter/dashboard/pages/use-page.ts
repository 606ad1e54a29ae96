import { useEffect, useState } from 'preact/hooks';

/** The data of a page by the latest read, or why there is none. */
export interface Read<T> {
  data?: T;
  problem?: string;
}

/** Changes without an event are shown after this time. */
const REFRESH_MS = 3_000;

/**
 * Reads the data of a page, then every few seconds and whenever `trigger` changes.
 *
 * @param path below `api/`
 * @param isPaused what was read of this path stays
 */
export function usePage<T>(path: string, trigger: unknown, isPaused = false): Read<T> {
  const [read, setRead] = useState<Read<T> & { path?: string }>({});
  useEffect(() => {
    const abort = new AbortController();
    const get = async () => {
      if (document.hidden) return;
      try {
        const reply = await fetch(`api/${path}`, { signal: abort.signal });
        if (reply.ok) setRead({ path, data: (await reply.json()) as T });
        else setRead({ path, problem: reply.status === 404 ? 'Not found.' : `HTTP ${reply.status}` });
      } catch {
        if (abort.signal.aborted) return;
        setRead((now) => ({ ...now, path, problem: 'The reporter does not answer; trying again.' }));
      }
    };
    if (!isPaused || read.path !== path) void get();
    const timer = isPaused ? undefined : setInterval(get, REFRESH_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [path, trigger, isPaused]);
  return read.path === path ? read : {};
}
