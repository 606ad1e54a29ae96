/** What `hm start` says about the dashboard: its URL, and a login for this run if none is configured. */
import { randomBytes } from 'node:crypto';
import type { Settings } from '../../../common/config/settings.ts';

type Status = Pick<Settings['status'], 'host' | 'port' | 'loginGiven'>;

export interface Login {
  user: string;
  password: string;
}

/** Addresses that mean all of this host. */
const ANY_HOST = new Set(['0.0.0.0', '::', '*']);

/** The dashboard's URL as a browser on this machine reaches it; undefined: its port is chosen by the system. */
export function dashboardUrl({ host, port }: Status): string | undefined {
  if (port === 0) return undefined;
  const name = ANY_HOST.has(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}/`;
}

/**
 * A login for this run, if none is configured and a person looks at the terminal: it is shown there once and never logged, since logs
 * are kept and read by others.
 */
export function oneTimeLogin({ loginGiven }: Status, isTerminal: boolean): Login | undefined {
  if (loginGiven === true || !isTerminal) return undefined;
  return { user: 'operator', password: randomBytes(9).toString('base64url') };
}

/** The lines for the terminal. */
export function accessLines(status: Status, login: Login | undefined): string[] {
  const url = dashboardUrl(status) ?? 'on the port that the reporter logs';
  if (login === undefined) return [`Dashboard: ${url}`];
  return [
    `Dashboard: ${url}`,
    `  Login for this run: ${login.user} / ${login.password}`,
    '  Set status.user and status.password (or STATUS_USER and STATUS_PASSWORD) for one that stays.',
  ];
}
