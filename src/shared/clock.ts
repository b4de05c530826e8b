/** A deadline on the monotonic clock. Imported, as a test's fake timers replace the global one and the kernel keeps its own. */
import { performance } from 'node:perf_hooks';

/** Milliseconds; -1 (for ever) stays -1. */
export function deadlineAfter(timeout: number): number {
  return timeout < 0 ? -1 : performance.now() + timeout;
}

/** What is left of it, at least 0; -1 for ever. */
export function remaining(deadline: number): number {
  return deadline < 0 ? -1 : Math.max(0, deadline - performance.now());
}
