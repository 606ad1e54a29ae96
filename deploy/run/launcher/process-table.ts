import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const hasProc = existsSync('/proc/self/stat');

/** The name of the program that runs as `pid`; undefined when there is none. */
export function processName(pid: number): string | undefined {
  if (!hasProc) return ps(pid, 'comm=');
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined; // ended
  }
}

/**
 * When the process started, as the system writes it. Together with the pid it identifies a process, because a pid is
 * used again after its process has ended. Undefined when there is no such process; a zombie counts as none.
 */
export function processStart(pid: number): string | undefined {
  if (!hasProc) return ps(pid, 'lstart=');
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything. The fields after it are numbered from 3; field 22 is the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined; // ended
  }
}

/** Whether the process runs; a zombie does not. */
export function isAlive(pid: number | undefined): boolean {
  return pid !== undefined && processStart(pid) !== undefined;
}

function ps(pid: number, column: string): string | undefined {
  try {
    return execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined; // ps exits with 1 when there is no such process
  }
}
