/** The log: JSON lines to stdout (pretty on a terminal) or to a file, without secrets. */
import { closeSync, openSync } from 'node:fs';
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { LoggingSettings } from '../../config/settings.ts';
import type { LineOutput } from './line-output.ts';
import { fileOutput, stdoutOutput } from './log-sinks.ts';

export type { Logger } from 'pino';

/** Fields that hold secrets wherever they occur. Redis errors carry `command.args`, which for AUTH is a password. */
const SECRET_FIELDS = ['password', 'pass', 'token', 'credentials', 'authorization', 'command.args'];

const URL_LOGIN = /(:\/\/)(?:\\.|[^\s"\\/])*@/g;

/** Replaces user and password in every URL of a text. */
export function withoutLogins(text: string): string {
  return text.includes('@') ? text.replace(URL_LOGIN, '$1***@') : text;
}

/** Lines by level, also those of which the output dropped some. */
export type LogCounts = Record<'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace', number>;

const LOG_COUNTS: LogCounts = { fatal: 0, error: 0, warn: 0, info: 0, debug: 0, trace: 0 };

/** The lines that this process has logged since its start. */
export function logCounts(): LogCounts {
  return { ...LOG_COUNTS };
}

function options(level: LoggingSettings['level'], name: string): LoggerOptions {
  return {
    level,
    base: { pid: process.pid, name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '***' },
    hooks: {
      streamWrite: withoutLogins,
      logMethod(args, method, level) {
        const label = this.levels.labels[level];
        if (label !== undefined && label in LOG_COUNTS) LOG_COUNTS[label as keyof LogCounts]++;
        method.apply(this, args);
      },
    },
  };
}

/** A terminal gets readable text, everything else JSON. */
function stdout(): LogOutput {
  const output = stdoutOutput();
  process.once('exit', () => output.flushAtExit());
  if (!process.stdout.isTTY) return output;
  const pretty = prettyFactory({ translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
  return prettyOutput(output, pretty);
}

function prettyOutput(output: LineOutput, pretty: (line: string) => string): LogOutput {
  return {
    write: (line) => output.write(pretty(line) ?? ''),
    get dropped() {
      return output.dropped;
    },
    onRecovered: (report) => output.onRecovered(report),
    reopen: () => output.reopen(),
  };
}

/** Where the lines of a process go. */
export type LogOutput = Pick<LineOutput, 'write' | 'dropped' | 'onRecovered' | 'reopen'>;

/**
 * Opens stdout or the log file.
 *
 * @throws ConfigError when the path of the file is wrong
 */
export function openLogOutput({ file }: Pick<LoggingSettings, 'file'>): LogOutput {
  return file === undefined ? stdout() : fileOutput(file);
}

/** @param name the process */
export function createLogger(
  name: string,
  { level }: Pick<LoggingSettings, 'level'>,
  output: DestinationStream | LogOutput,
): Logger {
  const log = pino(options(level, name), output);
  if ('onRecovered' in output)
    output.onRecovered((lines) => log.warn({ event: 'log_lines_dropped', lines }, 'log lines dropped'));
  return log;
}

/**
 * SIGHUP reopens the log file, as log rotation expects. Without a log file, and when the terminal of this process was
 * closed, the signal ends the process as it does with any program.
 *
 * @param pass called after the file is open again
 */
export function reopenOnHangUp(
  log: Logger,
  { file }: Pick<LoggingSettings, 'file'>,
  output: LogOutput,
  pass: () => void = () => undefined,
): void {
  if (file === undefined) return;
  process.on('SIGHUP', () => {
    if (process.stdout.isTTY && !hasTerminal()) {
      process.kill(process.pid, 'SIGTERM');
      return;
    }
    try {
      output.reopen();
      log.info({ event: 'log_reopened' }, 'log file reopened');
    } catch (error) {
      log.error({ event: 'log_not_reopened', err: error }, 'log file not reopened; the old one stays open');
    }
    pass();
  });
}

/** False once the controlling terminal was closed. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
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
