import { join } from 'node:path';
import { packageRoot } from '../../common/runtime/package-root.ts';

/** The demo's folder: one for each installation. */
export const demoDir = join(packageRoot, '.hm', 'demo');
