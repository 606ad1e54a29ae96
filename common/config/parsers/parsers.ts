/** Parsers of the values in a configuration. A number in quotes is a number, because files for HM 2.0 have such numbers. */
import { DIALECTS, type Dialect } from '../../messages/dialects/dialects.ts';

/** A value as YAML or the environment gives it. */
export interface Raw {
  value: unknown;
  /** The characters in the file, of an unquoted scalar that YAML does not parse as text. */
  source?: string;
}

export interface Parser<T> {
  /** Follows "expected" in an error line. */
  expected: string;
  /** @returns undefined if the value does not match */
  parse(raw: Raw): T | undefined;
}

/** Longer times are cut to this: a Node timer of more than 2^31 - 1 ms (about 24 days) fires at once. */
const MAX_SECONDS = 2_147_483;

const DECIMAL = /^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'string' && DECIMAL.test(value.trim())) return numberOf(Number(value));
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function numberParser(expected: string, matches: (n: number) => boolean): Parser<number> {
  return {
    expected,
    parse: ({ value }) => {
      const n = numberOf(value);
      return n !== undefined && matches(n) ? n : undefined;
    },
  };
}

function secondsParser(expected: string, matches: (n: number) => boolean): Parser<number> {
  const plain = numberParser(expected, matches);
  return {
    expected,
    parse: (raw) => {
      const n = plain.parse(raw);
      return n === undefined ? undefined : Math.min(n, MAX_SECONDS);
    },
  };
}

export const seconds = secondsParser('a number of seconds > 0', (n) => n > 0);
export const secondsOrZero = secondsParser('a number of seconds >= 0', (n) => n >= 0);
export const positive = numberParser('a number > 0', (n) => n > 0);
export const fraction = numberParser('a fraction > 0 and <= 1', (n) => n > 0 && n <= 1);
export const whole = numberParser('a whole number', Number.isSafeInteger);

export function wholeFrom(least: number, most?: number): Parser<number> {
  const range = most === undefined ? `>= ${least}` : `from ${least} to ${most}`;
  return numberParser(
    `a whole number ${range}`,
    (n) => Number.isSafeInteger(n) && n >= least && n <= (most ?? Number.MAX_SAFE_INTEGER),
  );
}

export const yesNo: Parser<boolean> = {
  expected: 'true or false',
  parse: ({ value }) => {
    if (typeof value === 'boolean') return value;
    const written = typeof value === 'string' ? value.trim().toLowerCase() : undefined;
    return written === 'true' ? true : written === 'false' ? false : undefined;
  },
};

/** What YAML parses as a number or a boolean (a password `0123` or `no`) stays as it is in the file. */
export const text: Parser<string> = {
  expected: 'a text',
  parse: ({ value, source }) => {
    if (typeof value === 'string') return value === '' ? undefined : value;
    if (typeof value === 'number' || typeof value === 'boolean') return source ?? String(value);
    return undefined;
  },
};

export const keyPrefix: Parser<string> = {
  expected: 'a text without braces and white space',
  parse: (raw) => {
    const value = text.parse(raw);
    return value !== undefined && !/[{}\s]/.test(value) ? value : undefined;
  },
};

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** pino's levels, and their names in Steno, HM 2.0's logger. */
const LEVELS = new Map<string, LogLevel>([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['error', 'error'],
  ['fatal', 'fatal'],
  ['silent', 'silent'],
  ['all', 'trace'],
  ['debug2', 'trace'],
  ['debug1', 'debug'],
  ['off', 'silent'],
]);

export const logLevel: Parser<LogLevel> = {
  expected: `one of ${[...LEVELS.keys()].join(', ')}`,
  // `off` without quotes is false in YAML 1.1, the version of HM 2.0's files.
  parse: ({ value, source }) => LEVELS.get(String(value === false ? (source ?? 'off') : value).toLowerCase()),
};

export const dialect: Parser<Dialect> = {
  expected: `one of ${DIALECTS.join(', ')}`,
  parse: ({ value }) => DIALECTS.find((known) => known === value),
};

/** The name of an HTTP header, in lower case. */
export const headerName: Parser<string> = {
  expected: 'the name of an HTTP header',
  parse: ({ value }) =>
    typeof value === 'string' && /^[a-z0-9-]{1,64}$/i.test(value) ? value.toLowerCase() : undefined,
};

/** An HTTP base URL, by default `http://`. Slashes at its end are removed. */
export const httpUrl: Parser<string> = {
  expected: 'an http:// or https:// URL',
  parse: ({ value }) => {
    if (typeof value !== 'string' || value.trim() === '' || /\s/.test(value.trim())) return undefined;
    const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(value.trim()) ? value.trim() : `http://${value.trim()}`;
    const url = URL.canParse(full) ? new URL(full) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') return undefined;
    return full.replace(/\/+$/, '');
  },
};

/** A URL in which `{guid}` stands for the guid of what it is about. */
export const linkTemplate: Parser<string> = {
  expected: 'an http:// or https:// URL, with {guid} in it where the guid belongs',
  parse: ({ value }) => {
    if (typeof value !== 'string') return undefined;
    const text = value.trim();
    const sample = text.replaceAll('{guid}', 'guid');
    return /^https?:\/\/[^/]/i.test(text) && !/[\s{}]/.test(sample) && URL.canParse(sample)
      ? text
      : undefined;
  },
};

export interface NatsUrl {
  /** `host:port`; without user, password and scheme. */
  server: string;
  tls: boolean;
  user?: string;
  password?: string;
  token?: string;
}

function percentDecode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // A `%` in a password that is not percent-encoded.
  }
}

function natsUrl(raw: string): NatsUrl | undefined {
  const match = /^(?:(nats|tls):\/\/)?(?:(.*)@)?(\[[0-9a-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?\/?$/i.exec(
    raw.trim(),
  );
  // An unknown scheme would match as a user.
  if (match === null || (match[1] === undefined && raw.includes('://'))) return undefined;
  const [, scheme, userinfo, host, port = '4222'] = match;
  if (Number(port) < 1 || Number(port) > 65_535) return undefined;
  const url: NatsUrl = { server: `${host}:${port}`, tls: scheme?.toLowerCase() === 'tls' };
  if (userinfo === undefined || userinfo === '') return url;
  const colon = userinfo.indexOf(':');
  if (colon < 0) return { ...url, token: percentDecode(userinfo) };
  return {
    ...url,
    user: percentDecode(userinfo.slice(0, colon)),
    password: percentDecode(userinfo.slice(colon + 1)),
  };
}

function listOf<T>(raw: Raw, one: (item: string) => T | undefined): T[] | undefined {
  const items = typeof raw.value === 'string' ? raw.value.split(',') : raw.value;
  if (!Array.isArray(items) || items.length === 0) return undefined;
  const parsed: T[] = [];
  for (const item of items) {
    const value = typeof item === 'string' ? one(item) : undefined;
    if (value === undefined) return undefined;
    parsed.push(value);
  }
  return parsed;
}

/** One URL, several separated by commas, or a list. */
export const natsUrls: Parser<NatsUrl[]> = {
  expected: 'a nats:// or tls:// URL or a list of them',
  parse: (raw) => listOf(raw, natsUrl),
};

function redisUrlOf(raw: string): string | undefined {
  const url = URL.canParse(raw.trim()) ? new URL(raw.trim()) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') return undefined;
  if (!/^\/?\d*$/.test(url.pathname)) return undefined;
  const login = [encodeBarePercent(url.username), encodeBarePercent(url.password)] as const;
  if (!login.every(isPercentEncoded)) return undefined;
  if (login[0] === url.username && login[1] === url.password) return raw.trim();
  [url.username, url.password] = login;
  return url.href;
}

/** A `%` in a login that is not percent-encoded stands for itself. */
function encodeBarePercent(part: string): string {
  return part.replace(/%(?![0-9a-f]{2})/gi, '%25');
}

/** False for bytes that are not UTF-8: the client could not decode them. */
function isPercentEncoded(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

export const redisUrl: Parser<string> = {
  expected: 'a redis:// or rediss:// URL',
  parse: ({ value }) => (typeof value === 'string' ? redisUrlOf(value) : undefined),
};

export const redisUrls: Parser<string[]> = {
  expected: 'a list of redis:// or rediss:// URLs',
  parse: (raw) => listOf(raw, redisUrlOf),
};

/** Each sentinel is `host:port` or a Redis URL; the result has URLs. */
export const sentinelNodes: Parser<string[]> = {
  expected: 'a list of host:port or redis:// URLs',
  parse: (raw) =>
    listOf(raw, (node) =>
      redisUrlOf(
        /^([\w.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/i.test(node.trim()) ? `redis://${node.trim()}` : node,
      ),
    ),
};

/** For keys that have no meaning any more. */
export const anything: Parser<undefined> = { expected: 'anything', parse: () => undefined };

/** A value as an error line shows it. Of a secret value only the scheme, host and port of a URL are shown. */
export function shown(value: unknown, secret: boolean): string {
  if (!secret) {
    const json = typeof value === 'number' ? String(value) : JSON.stringify(value);
    return json.length > 100 ? `${json.slice(0, 100)}...` : json;
  }
  if (Array.isArray(value)) return `[${value.map((item) => shown(item, true)).join(', ')}]`;
  if (typeof value !== 'string') return value === null || typeof value === 'object' ? 'no text' : '***';
  const parts = /^([a-z][a-z0-9+.-]*:\/\/)(?:(.*)@)?([\w.-]+(?::\d{1,5})?)(?:[/?].*)?$/is.exec(value);
  if (parts === null) return '"***"';
  return JSON.stringify(`${parts[1]}${parts[2] === undefined ? '' : '***@'}${parts[3]}`);
}
