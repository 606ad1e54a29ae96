/** The current page, from the fragment of the address, so that every page has a link. */
import { useEffect, useState } from 'preact/hooks';

export type Route =
  | { page: 'overview' }
  | { page: 'droplet' | 'dea'; id: string }
  | { page: 'apps'; problem: string; search: string; cursor: string };

export function hrefOf(page: 'droplet' | 'dea', id: string): string {
  return `#/${page}/${encodeURIComponent(id)}`;
}

/** The list of apps; what is absent is not part of the address. */
export function hrefOfApps(query: { problem?: string; search?: string; cursor?: string }): string {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  return `#/apps?${new URLSearchParams(Object.fromEntries(given))}`;
}

function current(): Route {
  if (location.hash === '#/apps' || location.hash.startsWith('#/apps?')) {
    const query = new URLSearchParams(location.hash.slice('#/apps?'.length));
    const of = (name: string) => query.get(name) ?? '';
    return { page: 'apps', problem: of('problem'), search: of('search'), cursor: of('cursor') };
  }
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
