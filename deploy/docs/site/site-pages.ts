/** The pages of the documentation in the order in which they are read, with their file below the package's folder. */
export const SITE_PAGES: Readonly<Record<string, string>> = {
  readme: 'README.md',
  operate: 'deploy/docs/operate.md',
  dashboard: 'deploy/docs/dashboard.md',
  migrate: 'deploy/docs/migrate.md',
  protocol: 'deploy/docs/protocol.md',
  platform: 'deploy/docs/platform.md',
  settings: 'deploy/docs/settings.md',
  metrics: 'deploy/docs/metrics.md',
  redis: 'deploy/docs/redis.md',
  performance: 'deploy/docs/performance.md',
  resilience: 'deploy/docs/resilience.md',
  'many-machines': 'deploy/docs/many-machines.md',
  growth: 'deploy/docs/growth.md',
  security: 'SECURITY.md',
  contributing: 'deploy/docs/contributing.md',
  mutants: 'deploy/docs/mutants.md',
  releasing: 'deploy/docs/releasing.md',
  changelog: 'CHANGELOG.md',
};

/** Files that the reporter serves beside the page, by the file that the pages link to. */
export const SITE_SPECS: Readonly<Record<string, string>> = {
  'deploy/docs/openapi.yml': 'openapi.json',
  'deploy/docs/asyncapi.yml': 'asyncapi.json',
};
