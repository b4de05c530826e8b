// Tests import the built package by its name, as a user does; each file runs in a process of its own.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import SlowFirst from './test/support/slow-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/*.test.mjs'],
    globalSetup: ['test/support/build.ts', 'test/support/scratch.ts'],
    tags: [{ name: 'slow', description: 'Takes about a second or more; left out by npm run test:fast.' }],
    sequence: { sequencer: SlowFirst },
    // What must hold in shared memory is checked (src/shared/service/assert.ts), in the processes that tests start too.
    env: { EPOLL_POOL_ASSERT: '1' },
    pool: 'forks',
    // Two more than there are processors: many tests wait for most of their time.
    maxWorkers: Math.min(8, availableParallelism()) + 2,
    // Where the machine is shared it may stand still for seconds. What passes only then is told of at the end.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    reporters: ['default', './test/support/flaky-reporter.ts'],
  },
});
