import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{common,ingest,analyzer,nudger,reporter,deploy}/**/*.test.ts'],
    // One process a test file: what a file leaves open (connections, children) is its own, and leaks.ts sees it.
    pool: 'forks',
    setupFiles: ['common/testing/leaks.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
