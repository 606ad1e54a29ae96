import { describe, expect, test } from 'vitest';
import { keysOf } from './keys.ts';
import { FIRST_VIEW, notBeyond, pressKey, selectedOf, type View } from './view.ts';

const IDS = ['a', 'b', 'c'];

/** The view after these keys. */
function press(text: string, ids = IDS, from: View = FIRST_VIEW): View {
  return keysOf(text).reduce((view, key) => {
    const next = pressKey(view, key, ids);
    if (next === 'quit') throw new Error('quit');
    return next;
  }, from);
}

describe('keys', () => {
  test('names of control sequences, characters, and several at once', () => {
    expect(keysOf('\x1b[A\x1bOBj\x1b[5~\r\x1b')).toEqual(['up', 'down', 'j', 'pageup', 'enter', 'escape']);
    expect(keysOf('é\x03\x00')).toEqual(['é', 'ctrl-c']);
  });
});

describe('the view', () => {
  test('the selection moves with the apps and stays within them', () => {
    expect(selectedOf(press(''), IDS)).toBe('a');
    expect(selectedOf(press('j\x1b[B'), IDS)).toBe('c');
    expect(selectedOf(press('jjjjjk'), IDS)).toBe('b');
    expect(selectedOf(press('G'), IDS)).toBe('c');
    expect(selectedOf(press('Gg'), IDS)).toBe('a');
    expect(press('j', [])).toEqual(FIRST_VIEW);
  });

  test('an app that recovers gives its selection to the first', () => {
    const view = press('j');
    expect(selectedOf(view, ['c', 'b', 'a'])).toBe('b');
    expect(selectedOf(view, ['a', 'c'])).toBe('a');
  });

  test('Enter opens the story of the selected app, arrows scroll it, Esc closes it', () => {
    expect(press('j\r').story).toEqual({ droplet: 'b', above: 0 });
    expect(press('j\rjjjk').story).toEqual({ droplet: 'b', above: 2 });
    expect(press('j\rjg').story).toEqual({ droplet: 'b', above: 0 });
    // The last line stays at the end of the window.
    expect(notBeyond(press('j\rG'), 7).story).toEqual({ droplet: 'b', above: 7 });
    expect(notBeyond(press('\tG'), 3).above).toBe(3);
    const closed = press('j\rj\x1b');
    expect(closed.story).toBeUndefined();
    expect(selectedOf(closed, IDS)).toBe('b');
  });

  test('the filter takes every key until Enter; Esc ends it', () => {
    expect(press('/mq\x7fail')).toMatchObject({ filter: 'mail', isTyping: true });
    expect(press('/mail\rj')).toMatchObject({ filter: 'mail', isTyping: false, selected: 'b' });
    expect(press('/mail\x1b')).toMatchObject({ filter: '', isTyping: false });
    expect(press('/mail\r\x1b')).toMatchObject({ filter: '' });
  });

  test('sort, all apps, the other pane, help', () => {
    expect(press('s').sort).toBe('name');
    expect(press('sss').sort).toBe('worst');
    expect(press('a').all).toBe(true);
    expect(press('\tjj')).toMatchObject({ pane: 'decisions', above: 2 });
    expect(press('\t\t').pane).toBe('apps');
    expect(press('?').showsHelp).toBe(true);
    expect(press('?x').showsHelp).toBe(false);
  });

  test('q and Ctrl-C quit; a q in a filter does not', () => {
    expect(pressKey(FIRST_VIEW, 'q', IDS)).toBe('quit');
    expect(pressKey(press('/x'), 'ctrl-c', IDS)).toBe('quit');
    expect(pressKey(press('j\r'), 'q', IDS)).toBe('quit');
  });
});
