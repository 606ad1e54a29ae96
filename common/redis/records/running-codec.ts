import type { Desired, Exit, Instance } from '../../model/droplet.ts';
import { decodeId } from './record-codec.ts';

/** What is wanted of a droplet and what runs. */
export interface RunningDroplet {
  readonly id: string;
  readonly desired?: Pick<Desired, 'instances'>;
  readonly instances: readonly RunningInstance[];
  readonly exits: readonly Exit[];
}

export type RunningInstance = Pick<
  Instance,
  'guid' | 'index' | 'version' | 'state' | 'dea' | 'firstListedMs' | 'lastListedMs'
>;

const [NEWLINE, SPACE, BRACE, S] = ['\n', ' ', '{', 'S'];
const [ON, VERSION, SINCE, FIRST, LAST] = [' on ', ' version ', ' since ', ' first ', ' last '];

/**
 * Decodes the values of a droplet's hash without the names of its fields: no two kinds of them that matter here have the same format. It
 * takes a third of the time of `decodeDroplet`, and an answer about a hundred droplets decodes a hundred.
 *
 * @param values joined by newlines
 * @returns undefined if the droplet has an exit, or something that only its whole record explains
 */
export function decodeRunning(id: string, values: string): RunningDroplet | undefined {
  let desired: Pick<Desired, 'instances'> | undefined;
  const instances: RunningInstance[] = [];
  for (let from = 0; from < values.length; ) {
    const newline = values.indexOf(NEWLINE, from);
    const to = newline < 0 ? values.length : newline;
    if (values[from] === S) {
      desired = decodeWanted(values.slice(from, to));
      if (desired === undefined) return undefined;
      // Slots, stops and outcomes are JSON, counts and times have no space.
    } else if (values[from] !== BRACE) {
      const space = values.indexOf(SPACE, from);
      if (space >= 0 && space < to) {
        const instance = decodeListed(values.slice(from, to), space - from);
        if (instance === undefined) return undefined;
        instances.push(instance);
      } else if (!isDigit(values.charCodeAt(from))) return undefined;
    }
    from = to + 1;
  }
  return { id, ...(desired && { desired }), instances, exits: [] };
}

const isDigit = (code: number) => code >= 48 && code <= 57;

const WANTED = /^(?:STARTED|STOPPED) (\d+)x (?:STAGED|PENDING|FAILED) version \S+ \S+M updated \S+$/;

function decodeWanted(value: string): Pick<Desired, 'instances'> | undefined {
  const parts = WANTED.exec(value);
  return parts === null ? undefined : { instances: Number(parts[1]) };
}

/** @param space the position of the first space of the value */
function decodeListed(value: string, space: number): RunningInstance | undefined {
  // Each search begins behind the first character of the field before, which may itself be `on` or `since`.
  const on = value.indexOf(ON, space + 2);
  const version = value.indexOf(VERSION, on + ON.length + 1);
  const since = value.indexOf(SINCE, version + VERSION.length + 1);
  const first = value.indexOf(FIRST, since + SINCE.length + 1);
  if (on < 0 || version < 0 || since < 0 || first < 0) return undefined;
  const last = value.indexOf(LAST, first);
  const index = Number(value.slice(0, space));
  const firstEnds = value.indexOf(SPACE, first + FIRST.length);
  const firstListedMs = Number(value.slice(first + FIRST.length, firstEnds < 0 ? undefined : firstEnds));
  const lastListedMs = last < 0 ? undefined : Number(value.slice(last + LAST.length));
  if (!Number.isInteger(index) || !Number.isFinite(firstListedMs + (lastListedMs ?? 0))) return undefined;
  return {
    guid: '',
    index,
    state: decodeId('state', value, value.slice(space + 1, on)),
    dea: decodeId('dea', value, value.slice(on + ON.length, version)),
    version: decodeId('version', value, value.slice(version + VERSION.length, since)),
    firstListedMs,
    ...(lastListedMs !== undefined && { lastListedMs }),
  };
}
