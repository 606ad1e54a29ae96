import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** A longer line is passed on in pieces, which bounds the memory. */
const MAX_LINE_LENGTH = 1 << 20;

/**
 * Passes a child's output on in whole lines, so that the lines of several children do not mix.
 * Pauses `from` while `to` is slow.
 *
 * @param format gets a line without its end and returns what is written
 * @returns when `from` has closed and its last line, complete or not, is passed on
 */
export function passLines(from: Readable, to: Writable, format: (line: string) => string): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const write = (lines: string[]) => {
    if (lines.length === 0 || !to.writable) return;
    const text = `${lines.map(format).join('\n')}\n`;
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
    if (rest.length > MAX_LINE_LENGTH) {
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
