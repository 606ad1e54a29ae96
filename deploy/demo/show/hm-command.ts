import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../common/runtime/package-root.ts';

/** The command as the user of this installation types it: a clone has a launcher, and an npm package is on the PATH. */
export const HM = existsSync(join(packageRoot, 'deploy', 'hm')) ? 'deploy/hm' : 'hm';
