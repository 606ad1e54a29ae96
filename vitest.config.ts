import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{common,ingest,analyzer,nudger,reporter,deploy}/**/*.test.ts'],
    // Processes instead of threads, so that leaks.ts sees the connections and children that a file leaves open. Files that
    // run one after the other in a process share their imports, since importing again took a third of the time.
    pool: 'forks',
    isolate: false,
    // Most files wait for processes and servers. By default, vitest would run one file at a time on 2 cores.
    maxWorkers: Math.max(4, availableParallelism()),
    setupFiles: ['common/testing/leaks.ts', 'common/testing/property-seed.ts'],
    // HM_TEST_REDIS=cluster: the scenarios run on a Redis Cluster.
    globalSetup: process.env.HM_TEST_REDIS === 'cluster' ? ['common/testing/redis/cluster-setup.ts'] : [],
    // Debian installs servers in sbin, which is often not in PATH.
    env: { PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` },
    // On a quiet machine the longest take a minute; a shared one may be several times slower.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // On a shared machine a scenario may meet a pause of seconds. The report shows what ran twice.
    retry: process.env.CI ? 1 : 0,
    // Polled conditions hold within milliseconds, unless the machine is busy.
    expect: { poll: { timeout: 60_000 } },
  },
});
