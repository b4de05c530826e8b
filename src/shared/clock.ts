/** Deadlines on the monotonic clock, the kernel's own: bound here, because a test's fake timers replace the public one. */

/** Milliseconds. */
export const now = performance.now.bind(performance);

/** Milliseconds; -1 (for ever) stays -1. */
export function deadlineAfter(timeout: number): number {
  return timeout < 0 ? -1 : now() + timeout;
}

/** What is left of it, at least 0; -1 for ever. */
export function remaining(deadline: number): number {
  return deadline < 0 ? -1 : Math.max(0, deadline - now());
}
