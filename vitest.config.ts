import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{common,ingest,analyzer,nudger,reporter,deploy}/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
