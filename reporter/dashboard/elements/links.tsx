/** Links to the platform's own pages, by the templates of the configuration. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { LiveEvents } from '../../api/types.ts';

export const Links = createContext<NonNullable<LiveEvents['hello']['links']>>({});

/** To the page of an app or a DEA elsewhere; nothing without a template. */
export function PlatformLink({ of, id }: { of: 'app' | 'dea'; id: string }) {
  const template = useContext(Links)[of];
  if (template === undefined) return null;
  const href = template.replaceAll('{guid}', encodeURIComponent(id));
  return (
    <p>
      <a href={href} rel="noreferrer">
        Its page on {new URL(href).host}
      </a>
    </p>
  );
}
