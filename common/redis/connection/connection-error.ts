import { BusError } from '../../nats/bus-errors.ts';

/** Error codes of the operating system and of Node.js's sockets. */
const SOCKET_CODES = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EAI_AGAIN',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTCONN',
  'ENOTFOUND',
  'EPIPE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
  'ETIMEDOUT',
]);

/** Classes of ioredis's errors; some of them have only their name in common. */
const CLIENT_ERRORS = new Set(['AbortError', 'ClusterAllFailedError', 'MaxRetriesPerRequestError']);

/** Texts of ioredis's plain errors. */
const CLIENT_TEXTS =
  /^(Connection is closed|Command timed out|Socket timeout|Stream isn't writeable|Cluster is disconnect|Cluster isn't ready|Node is disconnected|None of startup nodes is available|All sentinels are unreachable)/;

/** What Redis replies while a node starts, fails over, or has no slots; the client waits for its end. */
const UNAVAILABLE_REPLIES = /^(LOADING|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|UNBLOCKED)\b/;

/** What Redis replies while it takes no writes: it is full, cannot save, has too few replicas, is one, or runs a script. */
const REFUSALS = /^(OOM|MISCONF|NOREPLICAS|READONLY|BUSY)\b/;

/**
 * True for an error that only repeats that Redis or NATS is not reachable, which the connection has logged already. False for
 * every other error, also for the replies WRONGTYPE and NOPERM.
 */
export function isConnectionError(error: unknown): boolean {
  if (error instanceof BusError) return error.kind === 'disconnected' || error.kind === 'timeout';
  if (!(error instanceof Error)) return false;
  if (error.name === 'ReplyError') return UNAVAILABLE_REPLIES.test(error.message);
  const { code } = error as NodeJS.ErrnoException;
  return (
    (code !== undefined && SOCKET_CODES.has(code)) ||
    CLIENT_ERRORS.has(error.name) ||
    CLIENT_TEXTS.test(error.message)
  );
}

/** The code with which Redis refuses all writes for now, e.g. OOM; undefined for every other error. */
export function refusalOf(error: unknown): string | undefined {
  return error instanceof Error && error.name === 'ReplyError'
    ? REFUSALS.exec(error.message)?.[1]
    : undefined;
}

/** True if the same command may succeed later, when Redis is reachable and takes writes again. */
export function isTemporary(error: unknown): boolean {
  return isConnectionError(error) || refusalOf(error) !== undefined;
}

/** The log level of an error that may only repeat that a connection is lost or that Redis refuses writes. */
export function problemLevel(error: unknown): 'debug' | 'warn' {
  return isTemporary(error) ? 'debug' : 'warn';
}
