import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Copy } from '../elements/copy.tsx';

interface Props {
  kind: string;
  /** The heading. */
  id: string;
  /** It can be copied. */
  isGuid?: boolean;
  children: ComponentChildren;
}

/** The head of a page other than the overview. It gets the focus when the page opens, so that screen readers read it. */
export function PageHead({ kind, id, isGuid = false, children }: Props) {
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), [id]);
  return (
    <header class="page-head">
      <p>
        <a href="#/">Overview</a> / {kind}
      </p>
      <h2 ref={title} tabIndex={-1}>
        {id}
      </h2>{' '}
      {isGuid && <Copy text={id} />}
      {children}
    </header>
  );
}
