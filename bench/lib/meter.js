// Takes the rate, and the CPU time for each event, of what goes on elsewhere in this process.
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 10_000;

/**
 * @param {() => number} count events so far
 * @returns {Promise<{rate: number, cpu: number, busy: number}>} events/s; µs of CPU time (all threads, kernel included) per
 *   event; how busy this thread's event loop was, in percent
 */
export async function meter(count, { warmup, ms }) {
  await passed(count, 0);
  await sleep(warmup);
  const from = {
    at: performance.now(),
    count: count(),
    cpu: process.cpuUsage(),
    loop: performance.eventLoopUtilization(),
  };
  await sleep(ms);
  await passed(count, from.count);
  const events = count() - from.count;
  const seconds = (performance.now() - from.at) / 1000;
  const { user, system } = process.cpuUsage(from.cpu);
  const busy = performance.eventLoopUtilization(from.loop).utilization * 100;
  return { rate: events / seconds, cpu: (user + system) / events, busy };
}

/** Resolves when there are more events than that: on a machine that is busy with other things it may take a while. */
async function passed(count, before) {
  for (const until = performance.now() + PATIENCE_MS; count() <= before && performance.now() < until; ) await sleep(1);
}
