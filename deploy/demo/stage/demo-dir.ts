import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';

interface Where {
  /** The folder of the program. */
  root: string;
  env: { XDG_STATE_HOME?: string | undefined };
  home: string;
  temporary: string;
}

/**
 * Where the demo writes: in a clone of this user; else, for an installed package, in the state folder of the user; without a home
 * that can be written, in a temporary folder of the user.
 */
export function stateDirOf({ root, env, home, temporary }: Where): string {
  const isClone = existsSync(join(root, 'deploy', 'hm'));
  if (isClone && isWritable(root)) return join(root, '.hm');
  const state = join(env.XDG_STATE_HOME || join(home, '.local', 'state'), 'health-manager');
  return isWritable(state) ? state : join(temporary, `health-manager-${process.getuid?.() ?? 'demo'}`);
}

export const stateDir = stateDirOf({
  root: packageRoot,
  env: process.env,
  home: homedir(),
  temporary: tmpdir(),
});

/** The demo's folder: one for each clone or user. */
export const demoDir = join(stateDir, 'demo');

/** Whether this user can write to the folder, or create it. */
function isWritable(dir: string): boolean {
  if (!existsSync(dir)) return dirname(dir) !== dir && isWritable(dirname(dir));
  try {
    accessSync(dir, constants.W_OK);
    return statSync(dir).isDirectory();
  } catch {
    return false;
  }
}
