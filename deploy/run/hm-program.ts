import { join } from 'node:path';
import { packageRoot } from '../../common/runtime/package-root.ts';

/** The compiled `hm` command: what the launcher, the demo and the tests start as a child process. */
export const hmProgram = join(packageRoot, 'dist', 'deploy', 'run', 'cli', 'main.js');
