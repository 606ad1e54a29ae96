import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is passed on in pieces rather than kept. */
const LINE_AT_MOST = 1 << 20;

/**
 * Passes a child's output on whole line by whole line, so that the lines of several children do not mix.
 * Waits when `to` is slow.
 *
 * @param line what becomes of a line (without its end) before it is written
 * @returns when `from` has ended and its last line, whole or not, is passed on
 */
export function passLines(from: Readable, to: Writable, line: (text: string) => string): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const write = (lines: string[]) => {
    if (lines.length === 0 || !to.writable) return;
    const text = `${lines.map(line).join('\n')}\n`;
    if (to.write(text)) return;
    const resume = () => {
      to.off('drain', resume).off('close', resume);
      from.resume();
    };
    from.pause();
    to.on('drain', resume).on('close', resume);
  };
  from.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_AT_MOST) {
      lines.push(rest);
      rest = '';
    }
    write(lines);
  });
  return new Promise((resolve) => {
    from.once('close', () => {
      if (rest !== '') write([rest]);
      resolve();
    });
  });
}
