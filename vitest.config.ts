// Tests import the built package by its name, as a user does; each file runs in a process of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/*.test.mjs'],
    globalSetup: ['test/support/build.ts'],
    tags: [
      { name: 'slow', description: 'Takes long, for a reason that the file gives: left out by npm run test:fast.' },
    ],
    pool: 'forks',
    maxWorkers: 2,
    // Where the machine is shared it may stand still for seconds. What passes only then is told of at the end.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    reporters: ['default', './test/support/flaky-reporter.ts'],
  },
});
