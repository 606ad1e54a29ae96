import { join } from 'node:path';
import { packageRoot } from '../../common/runtime/package-root.ts';
import { metricsPage } from './metrics.ts';
import { redisPage } from './redis.ts';
import { settingsPage } from './settings.ts';
import { asyncApiYaml } from './specs/asyncapi.ts';
import { openApiYaml } from './specs/openapi.ts';

export const DOCS = join(packageRoot, 'deploy', 'docs');

/** The generated pages, by their file in `deploy/docs/`. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'settings.md': settingsPage,
  'metrics.md': metricsPage,
  'redis.md': redisPage,
  'asyncapi.yml': asyncApiYaml,
  'openapi.yml': openApiYaml,
};
