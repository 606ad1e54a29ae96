/** `npm run screenshots`: no test, but run as one, as the world that it shows is one of the tests'. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['deploy/docs/screenshots.ts'],
    env: { PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` },
    testTimeout: 1_200_000,
  },
});
