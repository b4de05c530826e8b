/** Deadlines on the monotonic clock. It is bound here, once, because a user's fake timers replace performance.now(). */

/** Milliseconds. */
export const now = performance.now.bind(performance);

/** The longest delay that Node's timers take, in milliseconds; what is longer fires at once. */
export const LONGEST_TIMER = 0x7fff_ffff;

/** Milliseconds; -1 (for ever) stays -1. */
export function deadlineAfter(timeout: number): number {
  return timeout < 0 ? -1 : now() + timeout;
}

/** What is left of it, at least 0; -1 for ever. */
export function remaining(deadline: number): number {
  return deadline < 0 ? -1 : Math.max(0, deadline - now());
}

/** The clock of a worker may begin anew: what threads tell each other counts from here. */
const origin = performance.timeOrigin;

/** A moment in whole milliseconds as threads tell each other: an int32 that wraps, for differences. */
export function sharedTime(moment: number): number {
  return (moment + origin) | 0;
}

/** The moment in so many milliseconds, as threads tell each other; never 0. */
export function sharedDeadline(ms: number): number {
  return sharedTime(now() + ms) || 1;
}

/** Whether a shared deadline has passed. */
export function hasPassed(deadline: number): boolean {
  return ((sharedTime(now()) - deadline) | 0) >= 0;
}
