import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStart } from './process-table.ts';
import { UnavailableError } from './unavailable-error.ts';

/**
 * Makes this process the only launcher with this folder. A claim whose owner is gone (kill -9, power cut) is
 * taken over; the pid alone would not do for that, as another program may have it by now.
 *
 * @returns gives the folder back
 * @throws UnavailableError while another launcher has it
 */
export function claimFolder(dir: string): () => void {
  mkdirSync(dir, { recursive: true });
  const claim = join(dir, 'launcher.json');
  const mine = join(dir, `launcher.${process.pid}`);
  const text = JSON.stringify({ pid: process.pid, started: processStart(process.pid) });
  writeFileSync(mine, text);
  try {
    while (!link(mine, claim)) {
      const found = read(claim);
      if (found === undefined) continue; // given back at this moment
      const owner = parse(found);
      if (owner && processStart(owner.pid) === owner.started) {
        throw new UnavailableError(`${dir}: in use by another deploy/hm, pid ${owner.pid}`);
      }
      removeIf(claim, found);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  return () => {
    if (read(claim) === text) rmSync(claim, { force: true });
  };
}

/** The pid of the launcher that has this folder now, if one has. */
export function claimantOf(dir: string): number | undefined {
  const found = read(join(dir, 'launcher.json'));
  const owner = found === undefined ? undefined : parse(found);
  return owner && processStart(owner.pid) === owner.started ? owner.pid : undefined;
}

/** True when the name was free and is ours now: a hard link is made whole or not at all. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the claim that was looked at, and not one that somebody else put in its place since. */
function removeIf(claim: string, looked: string): void {
  const aside = `${claim}.${process.pid}`;
  try {
    renameSync(claim, aside);
  } catch {
    return; // somebody else removed it
  }
  if (read(aside) !== looked) link(aside, claim);
  rmSync(aside, { force: true });
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(text: string): { pid: number; started: unknown } | undefined {
  try {
    const owner: unknown = JSON.parse(text);
    if (typeof owner !== 'object' || owner === null || !('pid' in owner) || !('started' in owner))
      return undefined;
    return typeof owner.pid === 'number' ? { pid: owner.pid, started: owner.started } : undefined;
  } catch {
    return undefined; // a file cut off by a power failure names nobody
  }
}
