import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';

/** Where the demo writes: in the clone, or in the user's state folder when the installation belongs to another user. */
export const stateDir = isWritable(packageRoot)
  ? join(packageRoot, '.hm')
  : join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'health-manager');

/** The demo's folder: one for each clone or user. */
export const demoDir = join(stateDir, 'demo');

function isWritable(dir: string): boolean {
  try {
    accessSync(dir, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
