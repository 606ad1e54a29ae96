import { expect, test } from 'vitest';
import { CommandSplitter, encodeCommand, valueEnd } from './resp.ts';

test('commands are found whatever the packets are', () => {
  const bytes = Buffer.concat([
    encodeCommand(['set', 'key', 'first\r\nsecond *1\r\n']),
    encodeCommand(['EVALSHA', 'sha', '0', 'ä']),
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const splitter = new CommandSplitter();
    const found: string[][] = [];
    for (let from = 0; from < bytes.length; from += size)
      for (const command of splitter.push(bytes.subarray(from, from + size)))
        found.push([command.name, ...command.args().slice(1)]);
    expect(found).toEqual([
      ['SET', 'key', 'first\r\nsecond *1\r\n'],
      ['EVALSHA', 'sha', '0', 'ä'],
    ]);
  }
});

test('the end of a reply is known only once all of it is there', () => {
  const reply = '*3\r\n$-1\r\n*2\r\n:1\r\n$5\r\nab\r\nc\r\n-ERR no\r\n';
  for (let length = 0; length < reply.length; length++)
    expect(valueEnd(Buffer.from(reply.slice(0, length)), 0)).toBe(-1);
  expect(valueEnd(Buffer.from(`${reply}+OK\r\n`), 0)).toBe(reply.length);
});
