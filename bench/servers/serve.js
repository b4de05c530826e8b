// What the servers have in common: how they are told what to do, say that they listen, and tell how they are.
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;

/** Given by the parent: see answer.js. */
export const work = process.argv[2];
export const threads = Number(process.argv[3]);
export const secure = process.argv[4] === 'secure';

/** Listens on a port of the kernel's choice, and answers the parent. */
export function listen(onConnection, options = {}, answers = {}) {
  const server = createServer({ noDelay: true, ...options }, onConnection);
  server.listen(LISTEN, () => announce(server.address().port, {}, answers));
}

export const LISTEN = { port: 0, host: '127.0.0.1', backlog: 511 };

/**
 * Tells the port, and what else the parent must know; from then on answers 'reset' and 'delay' with the delay of this thread's loop so far, 'memory' with what is
 * resident, in bytes.
 * @param {{parsed?: boolean, secure?: boolean}} about whether the answer is that to a parsed request; whether it speaks TLS
 * @param {Record<string, () => number>} answers to what else the parent may ask
 */
export function announce(port, about = {}, answers = {}) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on('message', message => {
    if (message === 'reset') delay.reset();
    // It records the time between two of its timers: what is beyond the timer's own is delay.
    if (message === 'delay') process.send({ delay: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS) });
    if (message === 'memory') process.send({ memory: resident() });
    if (message in answers) process.send({ [message]: answers[message]() });
  });
  process.on('disconnect', () => process.exit());
  process.send({ port, ...about });
}

/** After what nobody uses has been given back, where this process may ask for that. */
function resident() {
  for (let i = 0; i < 4; i++) globalThis.gc?.();
  return process.memoryUsage.rss();
}
