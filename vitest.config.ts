import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{common,ingest,analyzer,nudger,reporter,deploy}/**/*.test.ts'],
    // Processes, not threads: what a file leaves open (connections, children) is seen by leaks.ts. Files that follow
    // each other in one process share the modules they import: to load them anew took a third of the whole time.
    pool: 'forks',
    isolate: false,
    // Most files wait for processes and servers rather than compute: on 2 cores vitest would run one at a time.
    maxWorkers: Math.max(4, availableParallelism()),
    setupFiles: ['common/testing/leaks.ts', 'common/testing/property-seed.ts'],
    // HM_TEST_REDIS=cluster: the scenarios run on a Redis Cluster.
    globalSetup: process.env.HM_TEST_REDIS === 'cluster' ? ['common/testing/cluster-setup.ts'] : [],
    // Debian keeps servers in sbin, which is not on everybody's PATH.
    env: { PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` },
    // A scenario asks again and again whether all is at rest, and on a cluster every question takes longer.
    testTimeout: process.env.HM_TEST_REDIS === 'cluster' ? 120_000 : 60_000,
    hookTimeout: process.env.HM_TEST_REDIS === 'cluster' ? 120_000 : 60_000,
    // What is waited for comes within milliseconds, unless something else keeps the machine busy.
    expect: { poll: { timeout: 15_000 } },
  },
});
