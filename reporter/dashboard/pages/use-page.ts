import { useEffect, useState } from 'preact/hooks';

/** A page's data: what was read last, or why there is none. */
export interface Read<T> {
  data?: T;
  problem?: string;
}

/** What is not announced by an event is seen after this. */
const AGAIN_MS = 3_000;

/**
 * Reads a page's data, and again every few seconds and whenever `trigger` changes.
 *
 * @param path below `api/`
 */
export function usePage<T>(path: string, trigger: unknown): Read<T> {
  const [read, setRead] = useState<Read<T> & { path?: string }>({});
  useEffect(() => {
    const abort = new AbortController();
    const get = async () => {
      if (document.hidden) return;
      try {
        const reply = await fetch(`api/${path}`, { signal: abort.signal });
        if (reply.ok) setRead({ path, data: (await reply.json()) as T });
        else setRead({ path, problem: reply.status === 404 ? 'Not known.' : `HTTP ${reply.status}` });
      } catch {
        if (abort.signal.aborted) return;
        setRead((now) => ({ ...now, path, problem: 'The reporter does not answer; tried again.' }));
      }
    };
    void get();
    const timer = setInterval(get, AGAIN_MS);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }, [path, trigger]);
  return read.path === path ? read : {};
}
