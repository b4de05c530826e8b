// Tests import the built package by its name, as a user does; each file runs in a process of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/*.test.mjs'],
    pool: 'forks',
    maxWorkers: 2,
    // A shared machine may stand still for seconds; what fails for a reason fails again.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    reporters: ['default'],
  },
});
