// wrk adds to its latencies, after the fact, the requests that a connection would have sent had it not waited: as if each were
// to send at an even pace. To compare percentiles, the same is done to a histogram of latencies as they were.

/**
 * stats_correct() of wrk's stats.c.
 *
 * @param {{duration: number, responses: number, settings: {connections: number}, histogram: {buckets: [from: number, count: number][]}}} result
 *   duration in milliseconds, buckets in microseconds and rising
 * @returns {number} p99 in milliseconds
 */
export function p99AsWrk({ duration, responses, settings: { connections }, histogram: { buckets } }) {
  const pace = (duration * 1000) / Math.floor(responses / connections);
  const all = buckets.flatMap(([from, count]) => {
    const found = [[from, count]];
    if (from >= 2 * pace) for (let us = from - pace; us > pace; us -= pace) found.push([us, count]);
    return found;
  });
  all.sort(([a], [b]) => a - b);
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [us, count] of all) {
    seen += count;
    if (seen >= 0.99 * total) return us / 1000;
  }
  return Number.NaN;
}
