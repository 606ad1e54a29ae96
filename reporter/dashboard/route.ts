/** The current page, from the fragment of the address, so that every page has a link. */
import { useEffect, useState } from 'preact/hooks';

export type Route =
  | { page: 'overview' }
  | { page: 'droplet' | 'dea'; id: string }
  | { page: 'apps'; problem: string; search: string; cursor: string }
  | ({ page: 'decisions' } & DecisionsQuery);

/** The query of the page of decisions, as it is in its address; what is not given is empty. */
export type DecisionsQuery = Record<(typeof DECISION_PARAMETERS)[number], string>;
const DECISION_PARAMETERS = ['app', 'dea', 'kind', 'reason', 'since', 'until', 'cursor'] as const;

export function hrefOf(page: 'droplet' | 'dea', id: string): string {
  return `#/${page}/${encodeURIComponent(id)}`;
}

/** The list of apps; what is absent or empty is not part of the address. */
export function hrefOfApps(query: { problem?: string; search?: string; cursor?: string }): string {
  return `#/apps${queryOf(query)}`;
}

export function hrefOfDecisions(query: Partial<DecisionsQuery>): string {
  return `#/decisions${queryOf(query)}`;
}

/** `?a=1`, of what is not empty. */
export function queryOf(query: Record<string, string>): string {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(given))}`;
}

/** What the tab of the browser names; empty: the overview. */
export function titleOf(route: Route): string {
  switch (route.page) {
    case 'overview':
      return '';
    case 'droplet':
    case 'dea':
      return route.id;
    default:
      return route.page;
  }
}

function current(): Route {
  const [path, text = ''] = location.hash.split('?', 2);
  const query = new URLSearchParams(text);
  const of = (name: string) => query.get(name) ?? '';
  if (path === '#/apps') {
    return { page: 'apps', problem: of('problem'), search: of('search'), cursor: of('cursor') };
  }
  if (path === '#/decisions') {
    const given = DECISION_PARAMETERS.map((name) => [name, of(name)]);
    return { page: 'decisions', ...(Object.fromEntries(given) as DecisionsQuery) };
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
