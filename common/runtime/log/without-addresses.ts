import { isIP } from 'node:net';

/** Text beyond this length is cut off: no error is longer. */
const MAX_LENGTH = 2_000;
/** Codes after which Node.js names only a host. */
const BEFORE_HOST = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENOENT']);

/** Replaces hosts, addresses and URLs in a text that is shown without a login. */
export function withoutAddresses(text: string): string {
  let previous = '';
  const shown = text
    .slice(0, MAX_LENGTH)
    .split(/(\s)/)
    .map((part) => {
      if (part.trim() === '') return part;
      const bare = part.replace(/[,;:.)]{1,3}$/, '');
      const isHidden = BEFORE_HOST.has(previous) || isAddress(bare.replace(/^\(/, ''));
      previous = bare;
      return isHidden ? `***${part.slice(bare.length)}` : part;
    });
  return shown.join('');
}

/** A URL, an IP address, or a host with a port. */
function isAddress(text: string): boolean {
  if (text.includes('://')) return true;
  const host = /^(.+):\d{1,5}$/.exec(text)?.[1];
  return host !== undefined || isIP(text) !== 0 || isIP(text.replace(/^\[|\]$/g, '')) !== 0;
}
