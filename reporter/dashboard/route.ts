/** The current page, from the fragment of the address, so that every page has a link. */
import { useEffect, useState } from 'preact/hooks';

export type Route = { page: 'overview' } | { page: 'droplet' | 'dea'; id: string };

export function hrefOf(page: 'droplet' | 'dea', id: string): string {
  return `#/${page}/${encodeURIComponent(id)}`;
}

function current(): Route {
  const [, page, id] = location.hash.split('/');
  if ((page !== 'droplet' && page !== 'dea') || !id) return { page: 'overview' };
  try {
    return { page, id: decodeURIComponent(id) };
  } catch {
    return { page: 'overview' };
  }
}

export function useRoute(): Route {
  const [route, setRoute] = useState(current());
  useEffect(() => {
    const changed = () => setRoute(current());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
