/** The log: JSON lines to stdout (pretty on a terminal) or to a file, without secrets. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type DestinationStream, destination, type Logger, type LoggerOptions, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { ConfigError } from '../config/load.ts';
import type { LoggingSettings } from '../config/settings.ts';

export type { Logger } from 'pino';

/** Fields that hold secrets wherever they occur. Redis errors carry `command.args`, which for AUTH is a password. */
const SECRET_FIELDS = ['password', 'pass', 'token', 'credentials', 'authorization', 'command.args'];

const URL_LOGIN = /(:\/\/)(?:\\.|[^\s"\\/])*@/g;

/** Replaces user and password in every URL of a text. */
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

/** Writes are synchronous, so that the last lines of a dying process are not lost. */
function stdout(): DestinationStream {
  if (process.stdout.isTTY)
    return PinoPretty({ sync: true, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
  return ignoreBrokenPipe(destination({ fd: 1, sync: true }));
}

/** The reader of stdout may exit first (EPIPE); this process must survive that. */
function ignoreBrokenPipe<
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

/** Logs that the process serves. The launcher waits for this line, so it goes to stdout whatever the settings are. */
export function logReady(log: Logger, name: string, logging: LoggingSettings): void {
  const fields = { event: 'ready', process: name };
  const onStdout = logging.file === undefined && log.isLevelEnabled('info');
  log.info(fields, 'serving');
  if (!onStdout) pino(options('info', name), stdout()).info(fields, 'serving');
}

type RateLimitedLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * At most one line a second for each reason. Suppressed lines are counted; the next line of that reason has the count.
 * Reasons must be few and fixed, because each is kept in memory.
 */
export interface RateLimitedLog {
  debug(reason: string, fields: object, message: string): void;
  info(reason: string, fields: object, message: string): void;
  warn(reason: string, fields: object, message: string): void;
  error(reason: string, fields: object, message: string): void;
}

const PERIOD_MS = 1_000;

export function createRateLimit(log: Logger): RateLimitedLog {
  /** Reasons that have logged a line within the last second, with the lines that were suppressed since. */
  const recent = new Map<string, { suppressed: number; writeLast: () => void }>();

  const write = (level: RateLimitedLevel, reason: string, fields: object, message: string): void => {
    const entry = recent.get(reason);
    if (entry !== undefined) {
      entry.suppressed++;
      entry.writeLast = () => log[level]({ reason, ...fields, suppressed: entry.suppressed - 1 }, message);
      return;
    }
    log[level]({ reason, ...fields }, message);
    suppress(reason);
  };

  const suppress = (reason: string): void => {
    recent.set(reason, { suppressed: 0, writeLast: () => {} });
    setTimeout(() => {
      const { suppressed, writeLast } = recent.get(reason) ?? { suppressed: 0, writeLast: () => {} };
      recent.delete(reason);
      if (suppressed === 0) return;
      writeLast();
      suppress(reason);
    }, PERIOD_MS).unref();
  };

  const at =
    (level: RateLimitedLevel) =>
    (reason: string, fields: object, message: string): void =>
      write(level, reason, fields, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
