import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path, { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { packageRoot } from '../package-root.ts';
import { LineOutput } from './line-output.ts';
import { createLogger } from './log.ts';
import { fileOutput } from './log-sinks.ts';

/** A sink that takes `room` more bytes, and then fails with `code`. */
class FakeSink {
  text = '';
  room = Number.POSITIVE_INFINITY;
  code = 'ENOSPC';

  write(bytes: Uint8Array): number {
    const taken = Math.min(this.room, bytes.length);
    if (taken === 0) throw Object.assign(new Error(this.code), { code: this.code });
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken));
    return taken;
  }
}

let sink: FakeSink;
beforeEach(() => {
  sink = new FakeSink();
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

function outputTo(maxPendingBytes?: number): { output: LineOutput; reports: number[] } {
  const output = new LineOutput(sink, maxPendingBytes === undefined ? {} : { maxPendingBytes });
  const reports: number[] = [];
  output.onRecovered((lines) => {
    reports.push(lines);
    output.write(`dropped ${lines}\n`);
  });
  return { output, reports };
}

describe.each(['ENOSPC', 'EIO', 'EPIPE', 'EBADF'])('a write that fails with %s', (code) => {
  it('drops its line, and reports the number with the next line that is written', () => {
    sink.code = code;
    const { output, reports } = outputTo();
    sink.room = 0;
    for (let n = 0; n < 3; n++) output.write('lost\n');
    expect([output.dropped, sink.text, reports]).toEqual([3, '', []]);
    sink.room = 1_000;
    output.write('kept\n');
    expect([output.dropped, sink.text, reports]).toEqual([3, 'kept\ndropped 3\n', [3]]);
  });

  it('is reported within a second after it is over, also when nothing else is logged', () => {
    const { output } = outputTo();
    sink.room = 0;
    output.write('lost\n');
    vi.advanceTimersByTime(5_000);
    expect([output.dropped, sink.text]).toEqual([1, '']);
    sink.room = 1_000;
    vi.advanceTimersByTime(1_000);
    expect([output.dropped, sink.text]).toEqual([1, 'dropped 1\n']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('a line that was written in part does not spoil the next one', () => {
  const { output } = outputTo();
  sink.room = 3;
  output.write('abcdef\n');
  sink.room = 1_000;
  output.write('kept\n');
  expect(sink.text).toBe('abc\nkept\ndropped 1\n');
});

describe('a reader that takes no more', () => {
  beforeEach(() => {
    sink.code = 'EAGAIN';
  });

  it('gets everything in order when it reads again', () => {
    const { output, reports } = outputTo();
    sink.room = 2;
    for (const line of ['one\n', 'two\n', 'three\n']) output.write(line);
    expect(sink.text).toBe('on');
    sink.room = 4;
    vi.advanceTimersByTime(100);
    expect(sink.text).toBe('one\ntw');
    sink.room = 1_000;
    vi.advanceTimersByTime(100);
    expect([sink.text, output.dropped, reports]).toEqual(['one\ntwo\nthree\n', 0, []]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('makes lines beyond the bound of the memory be dropped and reported', () => {
    const { output } = outputTo(8);
    sink.room = 0;
    for (const line of ['aaa\n', 'bbb\n', 'ccc\n']) output.write(line);
    expect(output.dropped).toBe(1);
    sink.room = 1_000;
    vi.advanceTimersByTime(1_000);
    expect(sink.text).toBe('aaa\nbbb\ndropped 1\n');
  });

  it.each([0, 1, 2, 3, 4])('breaks the line %i bytes after a problem in its middle', (room) => {
    const { output } = outputTo();
    sink.room = 2;
    output.write('one\n');
    sink.code = 'ENOSPC';
    sink.room = Math.min(room, 1);
    output.write('two\n');
    sink.room = 1_000;
    output.write('three\n');
    for (const line of sink.text.trimEnd().split('\n')) expect(line).toMatch(/^(one?|two|three|dropped \d)$/);
    expect(sink.text).toContain('\nthree\n');
  });
});

describe('a log file', () => {
  let dir: string;
  beforeEach(() => {
    vi.useRealTimers();
    dir = mkdtempSync(path.join(tmpdir(), 'hm-output-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const messages = (file: string) =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { msg: string }).msg);

  it.runIf(existsSync('/dev/full'))('on a full disk loses lines, and nothing else', () => {
    const output = fileOutput('/dev/full');
    const log = createLogger('x', { level: 'info' }, output);
    for (let n = 0; n < 5; n++) log.error('text');
    expect(output.dropped).toBe(5);
  });

  it('is a new one after a rotation and SIGHUP', () => {
    const file = join(dir, 'hm.log');
    const output = fileOutput(file);
    const log = createLogger('x', { level: 'info' }, output);
    log.info('one');
    renameSync(file, join(dir, 'hm.log.1'));
    log.info('two');
    output.reopen();
    log.info('three');
    expect([messages(join(dir, 'hm.log.1')), messages(file)]).toEqual([['one', 'two'], ['three']]);
  });

  it('stays open when it cannot be opened anew', () => {
    const file = join(dir, 'hm.log');
    const output = fileOutput(file);
    const log = createLogger('x', { level: 'info' }, output);
    renameSync(file, join(dir, 'hm.log.1'));
    mkdirSync(file);
    expect(() => output.reopen()).toThrow('EISDIR');
    log.info('one');
    expect(messages(join(dir, 'hm.log.1'))).toEqual(['one']);
  });

  it('that was removed is created again within a second', async () => {
    const file = join(dir, 'a', 'hm.log');
    const log = createLogger('x', { level: 'info' }, fileOutput(file));
    log.info('one');
    rmSync(join(dir, 'a'), { recursive: true });
    await delay(1_050);
    log.info('two');
    expect(messages(file)).toEqual(['two']);
  });

  it.runIf(process.platform === 'linux')('that is a pipe without a reader does not block', async () => {
    const fifo = join(dir, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const output = fileOutput(fifo);
    const log = createLogger('x', { level: 'info' }, output);
    log.info('one');
    expect(output.dropped).toBe(1);
    const reader = openSync(fifo, 'r+');
    await delay(1_050);
    log.info('two');
    const bytes = Buffer.alloc(4_096);
    const read = bytes.toString('utf8', 0, readSync(reader, bytes));
    closeSync(reader);
    expect(read).toContain('"msg":"two"');
    expect(read).toContain('"lines":1');
  });
});

describe.runIf(process.platform === 'linux')('a process whose stdout nobody reads', () => {
  const program = `
    const { createLogger, openLogOutput } = await import(${JSON.stringify(join(packageRoot, 'dist/common/runtime/log/log.js'))});
    const output = openLogOutput({});
    const log = createLogger('x', { level: 'info' }, output);
    log.info('first');
    const text = 'x'.repeat(10_000);
    for (let n = 0; n < 1_000; n++) log.info({ text }, 'text');
    process.send?.({ dropped: output.dropped });
    process.stderr.write('alive\\n');
    process.on('SIGUSR2', () => { log.info('last'); setTimeout(() => process.exit(7), 300); });
    setInterval(() => {}, 1_000);
  `;

  /** How a program's stdout is connected: Node.js gives a socket, a shell a pipe. */
  const KINDS = {
    'a socket': [process.execPath, ['--input-type=module', '-e', program]],
    'a pipe': [
      '/bin/sh',
      ['-c', '"$@" | { sleep 1.5; cat; }', 'sh', process.execPath, '--input-type=module', '-e', program],
    ],
  } as const;

  it.each(['a socket', 'a pipe'] as const)(
    'runs on, and drops what does not fit in memory: %s',
    async (kind) => {
      vi.useRealTimers();
      const [command, args] = KINDS[kind];
      const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      try {
        await once(child.stderr as NonNullable<typeof child.stderr>, 'data', {
          signal: AbortSignal.timeout(5_000),
        });
        let out = '';
        child.stdout?.on('data', (data) => {
          out += data;
        });
        await expect.poll(() => out).toContain('"event":"log_lines_dropped"');
        const lines = out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>);
        const dropped = lines.find(({ event }) => event === 'log_lines_dropped')?.lines as number;
        expect(dropped).toBeGreaterThan(500);
        expect(lines.filter(({ msg }) => msg === 'text').length + dropped).toBe(1_000);
        expect(lines[0]).toMatchObject({ msg: 'first' });
      } finally {
        process.kill(-(child.pid as number), 'SIGKILL');
      }
    },
    15_000,
  );
});
