/** The log: JSON lines to stdout (pretty on a terminal) or to a file, without secrets. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type DestinationStream, destination, type Logger, type LoggerOptions, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { ConfigError } from '../config/load.ts';
import type { LoggingSettings } from '../config/settings.ts';

export type { Logger } from 'pino';

/** Fields that hold secrets wherever they occur; `command.args` is what Redis errors carry, an AUTH's too. */
const SECRET_FIELDS = ['password', 'pass', 'token', 'credentials', 'authorization', 'command.args'];

const URL_LOGIN = /(:\/\/)(?:\\.|[^\s"\\/])*@/g;

/** Takes user and password out of every URL in a text. */
export function withoutLogins(text: string): string {
  return text.includes('@') ? text.replace(URL_LOGIN, '$1***@') : text;
}

function options(level: LoggingSettings['level'], name: string): LoggerOptions {
  return {
    level,
    base: { pid: process.pid, name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '***' },
    hooks: { streamWrite: withoutLogins },
  };
}

/** Lines leave at once (sync), so that the last words of a process that dies are not lost. */
function stdout(): DestinationStream {
  if (process.stdout.isTTY)
    return PinoPretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
  return survivingReader(destination({ fd: 1, sync: true }));
}

/** Whoever read our stdout may go first: no reason to go down. */
function survivingReader<
  S extends { on(event: 'error', fn: (error: NodeJS.ErrnoException) => void): unknown },
>(stream: S): S {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return stream;
}

function file(name: string): DestinationStream {
  try {
    mkdirSync(path.dirname(name), { recursive: true });
    return destination({ dest: name, append: true, sync: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new ConfigError([`logging.file: ${name}: cannot be written (${code})`], { cause });
  }
}

/**
 * @param name the process
 * @param stream instead of stdout or the file; for tests
 * @throws ConfigError when the file cannot be written
 */
export function createLogger(name: string, logging: LoggingSettings, stream?: DestinationStream): Logger {
  return pino(
    options(logging.level, name),
    stream ?? (logging.file === undefined ? stdout() : file(logging.file)),
  );
}

/** Says that the process serves: the line that others wait for, so it is on stdout whatever is set. */
export function logReady(log: Logger, name: string, logging: LoggingSettings): void {
  const fields = { event: 'ready', process: name };
  const onStdout = logging.file === undefined && log.isLevelEnabled('info');
  log.info(fields, 'serving');
  if (!onStdout) pino(options('info', name), stdout()).info(fields, 'serving');
}

type RateLimitedLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * At most one line a second for each reason; the lines between are counted, and the count is logged.
 * Reasons must be few and fixed: each is remembered.
 */
export interface RateLimitedLog {
  debug(reason: string, fields: object, message: string): void;
  info(reason: string, fields: object, message: string): void;
  warn(reason: string, fields: object, message: string): void;
  error(reason: string, fields: object, message: string): void;
}

const PERIOD_MS = 1_000;

export function createRateLimit(log: Logger): RateLimitedLog {
  /** Reasons that had their line in the current second; with what was kept back since. */
  const quiet = new Map<string, { suppressed: number; last: () => void }>();

  const write = (level: RateLimitedLevel, reason: string, fields: object, message: string): void => {
    const now = quiet.get(reason);
    if (now !== undefined) {
      now.suppressed++;
      now.last = () => log[level]({ reason, ...fields, suppressed: now.suppressed - 1 }, message);
      return;
    }
    log[level]({ reason, ...fields }, message);
    hush(reason);
  };

  const hush = (reason: string): void => {
    quiet.set(reason, { suppressed: 0, last: () => {} });
    setTimeout(() => {
      const { suppressed, last } = quiet.get(reason) ?? { suppressed: 0, last: () => {} };
      quiet.delete(reason);
      if (suppressed === 0) return;
      last();
      hush(reason);
    }, PERIOD_MS).unref();
  };

  const at =
    (level: RateLimitedLevel) =>
    (reason: string, fields: object, message: string): void =>
      write(level, reason, fields, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
