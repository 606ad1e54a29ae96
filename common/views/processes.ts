/** The processes of the deployment as they are shown. Pure; the dashboard uses it too. */
import { formatDuration } from '../explain/wording.ts';
import { PROCESS_KINDS, type ProcessKind } from '../model/process-kinds.ts';

/** The part of a process's entry that is used here. */
interface Entry {
  kind: ProcessKind;
  host: string;
  pid: number;
  version: string;
  sinceMs: number;
  seenMs: number;
  lastWorkMs?: number;
  lagMs: number;
  problems?: Record<string, string>;
  problemSinceMs?: number;
  stoppedMs?: number;
}

/** A process that runs. Times are epoch ms. */
export interface ProcessView {
  kind: ProcessKind;
  host: string;
  pid: number;
  version: string;
  /** Its start. */
  sinceMs: number;
  /** Absent: it has done no work yet. */
  lastWorkMs?: number;
  /** How late its timers ran lately (ms). */
  lagMs: number;
  /** What it waits for, by part, e.g. `nats: not connected`; absent: it works. */
  problems?: Record<string, string>;
  problemSinceMs?: number;
}

/** The copies of a kind of process. */
export interface KindView {
  kind: ProcessKind;
  copies: number;
  /** Those that wait for nothing. */
  working: number;
  /** Since when no copy works; absent: one works, or it is not known. */
  noneSinceMs?: number;
}

export interface ProcessesView {
  /** Those that run, by kind, oldest first. */
  running: ProcessView[];
  kinds: KindView[];
  /** The versions that run, sorted; several during an upgrade. */
  versions: string[];
}

/** @param registeredForMs a process whose entry is older does not run any more */
export function processesView(
  entries: Iterable<Entry>,
  nowMs: number,
  registeredForMs: number,
): ProcessesView {
  const all = [...entries];
  const isRunning = ({ seenMs, stoppedMs }: Entry) =>
    stoppedMs === undefined && nowMs - seenMs <= registeredForMs;
  const order = (kind: ProcessKind) => PROCESS_KINDS.indexOf(kind);
  const running = all
    .filter(isRunning)
    .sort((a, b) => order(a.kind) - order(b.kind) || a.sinceMs - b.sinceMs || a.pid - b.pid)
    .map(viewOf);
  const kinds = PROCESS_KINDS.map((kind): KindView => {
    const copies = running.filter((one) => one.kind === kind);
    const working = copies.filter(({ problems }) => problems === undefined).length;
    if (working > 0) return { kind, copies: copies.length, working };
    const since = [
      ...copies.map(({ problemSinceMs = nowMs }) => problemSinceMs),
      ...all
        .filter((one) => one.kind === kind && !isRunning(one))
        .map(({ stoppedMs, seenMs, problemSinceMs }) => problemSinceMs ?? stoppedMs ?? seenMs),
    ];
    const noneSinceMs = since.length === 0 ? undefined : Math.max(...since);
    return { kind, copies: copies.length, working, ...(noneSinceMs !== undefined && { noneSinceMs }) };
  });
  return { running, kinds, versions: [...new Set(running.map(({ version }) => version))].sort() };
}

function viewOf({ kind, host, pid, version, sinceMs, lastWorkMs, lagMs, ...more }: Entry): ProcessView {
  const { problems, problemSinceMs } = more;
  return {
    ...{ kind, host, pid, version, sinceMs, lagMs },
    ...(lastWorkMs !== undefined && { lastWorkMs }),
    ...(problems !== undefined && { problems }),
    ...(problemSinceMs !== undefined && { problemSinceMs }),
  };
}

export function kindOf({ kinds }: Pick<ProcessesView, 'kinds'>, kind: ProcessKind): KindView {
  return kinds.find((one) => one.kind === kind) ?? { kind, copies: 0, working: 0 };
}

/** Whether no copy of the kind works. */
export function isMissing({ working }: KindView): boolean {
  return working === 0;
}

/** What it means that no copy of the kind works. */
const CONSEQUENCES: Readonly<Record<ProcessKind, string>> = {
  ingest: 'No ingestor receives heartbeats: what runs is not known',
  sync: 'No sync process reads the bulk API: changes of apps are not known',
  analyzer: 'No analyzer reconciles: nothing missing is noticed',
  nudger: 'No nudger takes jobs: no start leaves',
  reporter: 'No reporter answers queries',
};

/** `No nudger takes jobs: no start leaves, for 22 s (none runs)`; empty if a copy works */
export function missingText(view: ProcessesView, kind: ProcessKind, nowMs: number): string {
  const { working, copies, noneSinceMs } = kindOf(view, kind);
  if (working > 0) return '';
  const age =
    noneSinceMs === undefined
      ? ''
      : `, for ${formatDuration(wholeSeconds(Math.max(0, nowMs - noneSinceMs)))}`;
  const [first] = view.running.filter((one) => one.kind === kind);
  const why = copies === 0 ? 'none runs' : problemText(first?.problems);
  return `${CONSEQUENCES[kind]}${age} (${why})`;
}

/** `nats: not connected; redis: ...`; empty without a problem */
export function problemText(problems: Record<string, string> | undefined): string {
  const texts = new Map<string, string>();
  for (const [part, problem] of Object.entries(problems ?? {})) {
    // A process may have several connections to a server, `nats` and `nats (heartbeats)`, with one problem.
    const [server = part] = part.split(' ');
    if (!texts.has(server))
      texts.set(server, server === 'process' ? problem : `${PARTS[server] ?? part}: ${problem}`);
  }
  return [...texts.values()].join('; ');
}

const PARTS: Readonly<Record<string, string>> = { nats: 'NATS', redis: 'Redis' };

/** Whether a process waits for NATS. */
function waitsForNats({ problems }: Pick<ProcessView, 'problems'>): boolean {
  return Object.keys(problems ?? {}).some((part) => part.startsWith('nats'));
}

/** The kinds of which every copy waits for NATS: one cause, so it is told once. */
export function kindsWithoutNats({ running }: Pick<ProcessesView, 'running'>): ProcessKind[] {
  return PROCESS_KINDS.filter((kind) => {
    const copies = running.filter((one) => one.kind === kind);
    return copies.length > 0 && copies.every(waitsForNats);
  });
}

/** `1.2.0 and 1.3.0 run side by side`; empty while there is one version */
export function versionsText({ versions }: Pick<ProcessesView, 'versions'>): string {
  if (versions.length < 2) return '';
  return `${versions.slice(0, -1).join(', ')} and ${versions.at(-1)} run side by side`;
}

function wholeSeconds(ms: number): number {
  return Math.round(ms / 1000) * 1000;
}
