/** What of the live screen is shown: selection, filter, sort, scroll; and what each key changes. Pure. */

export const SORTS = ['worst', 'name', 'missing'] as const;
export type Sort = (typeof SORTS)[number];

export interface View {
  /** The part of the screen that the keys move in. */
  pane: 'apps' | 'decisions';
  /** All apps; else those that need attention. */
  all: boolean;
  sort: Sort;
  /** Only apps with this text in their guid, and decisions about them. */
  filter: string;
  /** Keys go into the filter. */
  isTyping: boolean;
  /** The selected app; absent: the first. */
  selected?: string;
  /** Decisions above the window. */
  above: number;
  /** The app whose story is shown, and the lines above the window. */
  story?: { droplet: string; above: number };
  showsHelp: boolean;
}

export const FIRST_VIEW: View = {
  ...{ pane: 'apps', all: false, sort: 'worst', filter: '', isTyping: false, above: 0, showsHelp: false },
};

export const HELP: readonly [keys: string, what: string][] = [
  ['up, down, j, k', 'the app before or after; in the story or the decisions: scroll'],
  ['page up, page down, g, G', 'ten lines; first, last'],
  ['Enter', 'the story of the app'],
  ['Esc', 'back; ends a filter'],
  ['/', 'filter by a part of the guid'],
  ['s', 'sort: worst first, by name, most missing first'],
  ['a', 'all apps, or those that need attention'],
  ['Tab', 'apps or decisions'],
  ['?', 'this help'],
  ['q, Ctrl-C', 'quit'],
];

const PAGE = 10;
/** A scroll goes as far as there are lines. */
const FAR = 1_000_000;

/** Lines that a key moves by; positive is down. */
const MOVES: Readonly<Record<string, number>> = {
  ...{ up: -1, k: -1, down: 1, j: 1, pageup: -PAGE, pagedown: PAGE },
  ...{ home: -FAR, g: -FAR, end: FAR, G: FAR },
};

/**
 * @param ids the apps on the screen, in their order
 * @returns the view after the key; `quit`: the key ends the command
 */
export function pressKey(view: View, key: string, ids: readonly string[]): View | 'quit' {
  if (key === 'ctrl-c') return 'quit';
  if (view.isTyping) return typed(view, key);
  if (view.showsHelp) return key === 'q' ? 'quit' : { ...view, showsHelp: false };
  const move = Object.hasOwn(MOVES, key) ? MOVES[key] : undefined;
  if (move !== undefined) return moved(view, move, ids);
  const { story, ...rest } = view;
  switch (key) {
    case 'q':
    case 'Q':
      return 'quit';
    case '?':
      return { ...view, showsHelp: true };
    case 'escape':
      return story === undefined ? { ...rest, filter: '', pane: 'apps', above: 0 } : rest;
    case '/':
      return { ...rest, isTyping: true };
    case 's':
      return { ...rest, sort: SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length] as Sort };
    case 'a':
      return { ...rest, all: !view.all };
    case 'tab':
      return { ...rest, pane: view.pane === 'apps' ? 'decisions' : 'apps' };
    case 'enter': {
      const droplet = selectedOf(view, ids);
      return droplet === undefined ? view : { ...view, story: { droplet, above: 0 } };
    }
    default:
      return view;
  }
}

/** The view with its window at most this far from the first line. */
export function notBeyond(view: View, furthest: number): View {
  const { story, above } = view;
  if (story === undefined) return { ...view, above: Math.min(above, furthest) };
  return { ...view, story: { ...story, above: Math.min(story.above, furthest) } };
}

/** The selected app; the first one while the selected is not on the screen. */
export function selectedOf({ selected }: View, ids: readonly string[]): string | undefined {
  return selected !== undefined && ids.includes(selected) ? selected : ids[0];
}

function typed(view: View, key: string): View {
  if (key === 'enter') return { ...view, isTyping: false };
  if (key === 'escape') return { ...view, isTyping: false, filter: '' };
  if (key === 'backspace') return { ...view, filter: view.filter.slice(0, -1) };
  return [...key].length === 1 ? { ...view, filter: view.filter + key } : view;
}

function moved(view: View, by: number, ids: readonly string[]): View {
  const scroll = (above: number) => Math.min(FAR, Math.max(0, above + by));
  if (view.story !== undefined) return { ...view, story: { ...view.story, above: scroll(view.story.above) } };
  if (view.pane === 'decisions') return { ...view, above: scroll(view.above) };
  const now = selectedOf(view, ids);
  if (now === undefined) return view;
  const to = Math.min(ids.length - 1, Math.max(0, ids.indexOf(now) + by));
  return { ...view, selected: ids[to] as string };
}
