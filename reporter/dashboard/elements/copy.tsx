/** A guid, shortened, with a button that copies all of it. */
import { useState } from 'preact/hooks';

/** How long the button says that it copied (ms). */
const SAID_MS = 1_500;
/** Of a guid its first part is shown. */
const GUID = /^([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function shortened(id: string): string {
  const first = GUID.exec(id)?.[1];
  return first === undefined ? id : `${first}…`;
}

export function Guid({ id }: { id: string }) {
  return (
    <span class="guid">
      <span title={id}>{shortened(id)}</span> <Copy text={id} />
    </span>
  );
}

export function Copy({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await toClipboard(text))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return (
    <button type="button" class="copy" aria-label={`Copy ${text}`} title="Copy" onClick={() => void copy()}>
      {copied ? 'copied' : 'copy'}
    </button>
  );
}

/** Browsers offer the clipboard only to pages of HTTPS and of this machine; elsewhere a field is copied. */
async function toClipboard(text: string): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not permitted: the other way may be.
    }
  }
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand('copy');
  field.remove();
  return isCopied;
}
