import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Server, Socket } from 'node:net';

/** Describes what this process has open: child processes, TCP connections and servers. */
export function listOpenHandles(): string[] {
  return [...children(), ...sockets()];
}

/** Linux only: elsewhere the list is empty. */
function children(): string[] {
  if (!existsSync('/proc/self/task')) return [];
  return readdirSync('/proc/self/task')
    .flatMap((thread) => read(`/proc/self/task/${thread}/children`).split(' '))
    .filter((pid) => pid !== '')
    .map((pid) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() }))
    .filter(({ command }) => command !== '') // ended
    .map(({ pid, command }) => `child process ${pid}: ${command.slice(0, 200)}`);
}

/** Those that keep the process alive; idle ones that were `unref`ed (keep-alive of an HTTP client) do not count. */
function sockets(): string[] {
  const counted = process
    .getActiveResourcesInfo()
    .filter((kind) => kind === 'TCPSocketWrap' || kind === 'TCPServerWrap');
  if (counted.length === 0) return [];
  const named = handles().flatMap((handle) => {
    if (handle instanceof Server) return [`TCP server on ${JSON.stringify(handle.address())}`];
    if (handle instanceof Socket && (handle.remotePort ?? handle.localPort) !== undefined) {
      return [`TCP connection from port ${handle.localPort} to ${handle.remoteAddress}:${handle.remotePort}`];
    }
    return [];
  });
  return named.length >= counted.length
    ? named
    : counted.map((kind) => `${kind} (${named.join(', ') || 'no details'})`);
}

/** Undocumented, but the only way to describe what `getActiveResourcesInfo` counts. */
function handles(): unknown[] {
  const source = process as { _getActiveHandles?: () => unknown[] };
  return source._getActiveHandles?.() ?? [];
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it ended meanwhile
  }
}
