/** One clock for all threads of a load test: each thread's performance.now() begins at another time. */
import { now } from '../clock.js';

const offset = measureOffset();

/** CLOCK_MONOTONIC in milliseconds, the same in every thread to about a microsecond. */
export function clock(): number {
  return now() + offset;
}

/** From this thread's performance.now() to the kernel's clock: the best of several looks, for one may be interrupted. */
function measureOffset(): number {
  let shortest = Number.POSITIVE_INFINITY;
  let found = 0;
  for (let i = 0; i < 20; i++) {
    const before = now();
    const [seconds, nanoseconds] = process.hrtime();
    const after = now();
    if (after - before >= shortest) continue;
    shortest = after - before;
    found = seconds * 1000 + nanoseconds / 1e6 - (before + after) / 2;
  }
  return found;
}
