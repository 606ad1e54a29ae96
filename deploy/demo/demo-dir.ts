import { join } from 'node:path';
import { packageRoot } from '../../common/runtime/package-root.ts';

/** The demo's folder; there is one a machine and installation. */
export const demoDir = join(packageRoot, '.hm', 'demo');
