import { expect, test } from 'vitest';
import { cell, fitLines, paint, wrap, wrapPieces } from './screen.ts';

test('a line that does not fit ends in dots, whatever its colours', () => {
  const line = ['abc', paint('31', 'defgh'), 'ij'];
  const at = (columns: number, colours = false) => fitLines([line], { columns, rows: 9 }, colours)[0];
  expect(at(11)).toBe('abcdefghij');
  expect(at(10)).toBe('abcdef...');
  expect(at(7)).toBe('abc...');
  expect(at(10, true)).toBe('abc\x1b[31mdef\x1b[0m...');
  expect(fitLines([['a\x1b[2Jb']], { columns: 80, rows: 1 })).toEqual(['a [2Jb']);
});

test('cells have their width', () => {
  expect([cell('ab', 4), cell('abcdef', 5), cell('abcdef', 0)]).toEqual(['ab  ', 'ab...', 'abcdef']);
});

test('text is wrapped at words', () => {
  expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
  expect(wrap('one two three')).toEqual(['one two three']);
});

test('pieces are wrapped at words, with an indent', () => {
  const line = ['one ', paint('31', 'two three'), ' four'];
  const texts = wrapPieces(line, 10, '  ').map((pieces) =>
    pieces
      .map((piece) => (typeof piece === 'string' ? piece : piece.text))
      .join('')
      .trimEnd(),
  );
  expect(texts).toEqual(['one two', '  three', '  four']);
  expect(wrapPieces([], 10, '')).toEqual([[]]);
});
