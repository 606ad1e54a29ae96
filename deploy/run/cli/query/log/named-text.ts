/** Names of droplets in one line. */
const MAX_NAMED = 3;

/** Of a line about several droplets: `: mailer, shop, web and 9 more`; empty: it is about one or none. */
export function namedText(droplets: readonly string[] | undefined): string {
  if (droplets === undefined || droplets.length === 0) return '';
  const more = droplets.length - MAX_NAMED;
  return `: ${droplets.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
