import { PassThrough, Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { passLines } from './pass-lines.ts';

function collect(highWaterMark?: number) {
  const chunks: string[] = [];
  const to = new Writable({
    decodeStrings: false,
    ...(highWaterMark !== undefined && { highWaterMark }),
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      setImmediate(done);
    },
  });
  return { chunks, to };
}

test('only whole lines are written, however the input is split', async () => {
  const { chunks, to } = collect();
  const from = new PassThrough();
  const passed = passLines(from, to, (line) => line);
  const bytes = Buffer.from('first\nzweite Zeile: ä€\nthird');
  for (const byte of bytes) from.write(Buffer.from([byte]));
  from.end();
  await passed;
  await new Promise<void>((resolve) => to.end(() => resolve()));
  expect(chunks.every((chunk) => chunk.endsWith('\n'))).toBe(true);
  expect(chunks.join('')).toBe('first\nzweite Zeile: ä€\nthird\n');
});

test('a slow reader loses no line and pauses the source', async () => {
  const { chunks, to } = collect(10);
  const from = new PassThrough();
  const passed = passLines(from, to, (line) => line.toUpperCase());
  const lines = Array.from({ length: 1000 }, (_, n) => `line ${n}`);
  for (const line of lines) from.write(`${line}\n`);
  from.end();
  await passed;
  await new Promise<void>((resolve) => to.end(() => resolve()));
  expect(chunks.join('')).toBe(lines.map((line) => `${line.toUpperCase()}\n`).join(''));
  expect(to.listenerCount('drain')).toBe(0);
});

test('an endless line is passed on in pieces', async () => {
  const { chunks, to } = collect();
  const from = new PassThrough();
  const passed = passLines(from, to, (line) => line);
  for (let n = 0; n < 40; n++) from.write('x'.repeat(100_000));
  await expect.poll(() => chunks.length).toBeGreaterThan(0);
  from.end();
  await passed;
  await new Promise<void>((resolve) => to.end(() => resolve()));
  expect(chunks.join('').replaceAll('\n', '').length).toBe(4_000_000);
});
