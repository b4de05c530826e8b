// What the servers have in common: how they are told what to do, say that they listen, and tell their loop's delay.
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;

/** Given by the parent. */
export const hashes = Number(process.argv[2]);
export const threads = Number(process.argv[3]);

/** Listens on a port of the kernel's choice, and answers the parent. */
export function listen(onConnection, options = {}) {
  const server = createServer({ noDelay: true, ...options }, onConnection);
  server.listen({ port: 0, host: '127.0.0.1', backlog: 511 }, () => announce(server.address().port));
}

/** Tells the port; from then on answers 'reset' and 'delay' with the delay of this thread's loop so far. */
export function announce(port) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on('message', message => {
    if (message === 'reset') delay.reset();
    // It records the time between two of its timers: what is beyond the timer's own is delay.
    if (message === 'delay') process.send({ delay: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS) });
  });
  process.on('disconnect', () => process.exit());
  process.send({ port });
}
