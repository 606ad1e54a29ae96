import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path, { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigError } from '../../config/load.ts';
import { packageRoot } from '../package-root.ts';
import {
  createLogger,
  createRateLimit,
  type Logger,
  logCounts,
  openLogOutput,
  withoutLogins,
} from './log.ts';

let lines: string[];
let log: Logger;
beforeEach(() => {
  lines = [];
  log = createLogger('test', { level: 'info' }, { write: (line) => void lines.push(line) });
});
const parsed = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the log', () => {
  it('is JSON lines', () => {
    log.info({ event: 'x', n: 1 }, 'text');
    expect(parsed()).toEqual([
      {
        level: 'info',
        name: 'test',
        pid: process.pid,
        time: expect.any(String),
        event: 'x',
        n: 1,
        msg: 'text',
      },
    ]);
    expect(lines[0]).toMatch(/\}\n$/);
  });

  it('counts its lines by level, those of a child too, but none below its level', () => {
    const before = logCounts();
    log.debug('not logged');
    log.info('one');
    log.child({ part: 'x' }).warn({ event: 'y' }, 'two');
    log.warn('three');
    const after = logCounts();
    const more = Object.entries(after).map(([level, n]) => [level, n - before[level as keyof typeof before]]);
    expect(Object.fromEntries(more)).toEqual({ fatal: 0, error: 0, warn: 2, info: 1, debug: 0, trace: 0 });
    expect(parsed().map(({ msg }) => msg)).toEqual(['one', 'two', 'three']);
  });

  it.each([
    ['debug', 3],
    ['info', 2],
    ['warn', 1],
  ] as const)('leaves out lines below its level: %s', (level, kept) => {
    const logger = createLogger('test', { level }, { write: (line) => void lines.push(line) });
    logger.debug('x');
    logger.info('x');
    logger.warn('x');
    expect(lines).toHaveLength(kept);
  });

  it.runIf(process.platform === 'linux')('is readable text on a terminal and JSON elsewhere', () => {
    const log = `import(${JSON.stringify(join(packageRoot, 'dist/common/runtime/log/log.js'))})`;
    const program = `${log}.then(({ createLogger, openLogOutput }) => createLogger('one', { level: 'info' }, openLogOutput({})).info({ n: 1 }, 'text'))`;
    const args = ['-e', program];
    const piped = execFileSync(process.execPath, args, { encoding: 'utf8' });
    expect(JSON.parse(piped)).toMatchObject({ name: 'one', n: 1, msg: 'text' });
    const quoted = [process.execPath, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const shown = execFileSync('script', ['-qec', quoted, '/dev/null'], { encoding: 'utf8' });
    expect(shown).not.toContain('"msg"');
    expect(stripVTControlCharacters(shown)).toMatch(
      /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO \(one\): text\r?\n\s+n: 1/,
    );
  });

  it.each<[string, () => void]>([
    ['a password', () => log.info({ password: 'hunter2' }, 'x')],
    ['a password below', () => log.info({ status: { user: 'u', password: 'hunter2' } }, 'x')],
    ['a login in a URL', () => log.info({ url: 'redis://u:hunter2@h:1' }, 'x')],
    ['a login in a message', () => log.info('no nats://u:hunter2@h today')],
    ['a login with odd characters', () => log.info({ url: 'nats://u:"\\ @hunter2@h'.replace(' ', '') }, 'x')],
    ['a login in an error', () => log.error({ err: new Error('at redis://:hunter2@h') }, 'x')],
    [
      'the command of a Redis error',
      () =>
        log.error(
          { err: Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['hunter2'] } }) },
          'x',
        ),
    ],
  ])('has no secret: %s', (_, write) => {
    write();
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('hunter2');
    expect(() => parsed()).not.toThrow();
  });

  it('keeps mail addresses and hosts', () => {
    expect(withoutLogins('a@b.c at nats://h:1/x and http://u:p@i')).toBe(
      'a@b.c at nats://h:1/x and http://***@i',
    );
  });
});

describe('a log file', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'hm-log-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('is created with its folder, and appended to', () => {
    const file = path.join(dir, 'a/b.log');
    createLogger('one', { level: 'info' }, openLogOutput({ file })).info('1');
    createLogger('two', { level: 'info' }, openLogOutput({ file })).info('2');
    const written = readFileSync(file, 'utf8').trim().split('\n');
    expect(written.map((line) => JSON.parse(line))).toMatchObject([
      { name: 'one', msg: '1' },
      { name: 'two', msg: '2' },
    ]);
  });

  it('that cannot be written is a configuration error', () => {
    expect(() => openLogOutput({ file: dir })).toThrow(
      new ConfigError([`logging.file: ${dir}: cannot be written (EISDIR)`]),
    );
  });
});

describe('the rate limit', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('logs one line a second for each reason, and the number of suppressed lines', () => {
    const limited = createRateLimit(log);
    for (let n = 1; n <= 5; n++) limited.warn('bad', { n }, 'text');
    limited.warn('other', { n: 9 }, 'text');
    expect(parsed()).toMatchObject([
      { reason: 'bad', n: 1, msg: 'text' },
      { reason: 'other', n: 9 },
    ]);
    lines.length = 0;
    vi.advanceTimersByTime(1_000);
    // The last of the four suppressed lines, with the number of the other three.
    expect(parsed()).toMatchObject([{ level: 'warn', reason: 'bad', n: 5, suppressed: 3, msg: 'text' }]);
    limited.warn('bad', { n: 6 }, 'text');
    expect(lines).toHaveLength(1);
    vi.advanceTimersByTime(1_000);
    expect(parsed()[1]).toMatchObject({ n: 6, suppressed: 0 });
  });

  it('drops a reason that was not used for a second', () => {
    const limited = createRateLimit(log);
    limited.error('bad', {}, 'text');
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(0);
    limited.error('bad', {}, 'text');
    expect(lines).toHaveLength(2);
  });
});
