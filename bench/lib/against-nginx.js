// A load generator against nginx: how many requests a second one core of generator gets out of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { generators, startGenerator } from './generators.js';
import { startTarget } from './nginx.js';

const PATIENCE_MS = 20_000;

/**
 * One round of a generator. The server's own count, between two moments of a run: no generator is asked how fast it was.
 *
 * @param {string} name of generators.js; the case: { connections, threads, secure?: by TLS, close?: with Connection: close,
 *   script?: a request made by a function for each }
 */
export const againstNginx = name => async (kase, time) => {
  const { connections, threads, secure, close, script } = kase;
  const { warmup, ms } = time;
  const { url, requests, ran, stop } = await startTarget(connections, time, { secure });
  try {
    const generator = startGenerator(generators[name], { url, connections, threads, warmup, close, script });
    await begun(requests, connections);
    // What is compiled already need not be warmed up.
    if (name !== 'wrk') await sleep(warmup);
    const from = { count: await requests(), ran: ran(), at: performance.now() };
    let count = 0;
    // On a machine that is very busy next to nothing may come in a short time, and all of it may be warm-up to the generator.
    do {
      await sleep(ms);
      count = (await requests()) - from.count;
    } while (count < 2 * connections && performance.now() - from.at < PATIENCE_MS);
    const took = performance.now() - from.at;
    const server = ((ran() - from.ran) / took) * 100;
    const { p99, sent = count, received = count } = await generator.end();
    return { values: { rate: (count / took) * 1000, server, p99 }, sent, received };
  } finally {
    await stop();
  }
};

/** Resolves once each connection can have sent something: from then on it is the requests that take the time. */
async function begun(requests, connections) {
  const until = performance.now() + PATIENCE_MS;
  while ((await requests()) < connections * 2) {
    if (performance.now() > until) throw new Error('the generator does not begin');
    await sleep(5);
  }
}
