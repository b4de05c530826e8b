// The load tester beside wrk and autocannon: how many requests a second one core of generator gets out of nginx.
import { setTimeout as sleep } from 'node:timers/promises';
import { canPin } from './lib/cpus.js';
import { generators, startGenerator } from './lib/generators.js';
import { inCases } from './lib/goals.js';
import { hasNginx, startTarget } from './lib/nginx.js';
import { question } from './lib/question.js';

const PATIENCE_MS = 20_000;

const cases = [64, 1000].flatMap(connections =>
  [1, 2].map(threads => {
    const name = `${connections} connections, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    return { name, connections, threads, fds: 2000, smoke: connections === 64 && threads === 2 };
  }),
);

/** The server's own count, between two moments of a run: no generator is asked how fast it was. */
const by = name => async (kase, time) => {
  const { connections, threads } = kase;
  const { warmup, ms } = time;
  const { url, requests, ran, stop } = await startTarget(connections, time);
  try {
    const generator = startGenerator(generators[name], { url, connections, threads, warmup });
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

const ours = { ours: 'epoll-pool' };
const cores = canPin ? 'one core for it and one for the generator' : 'server and generator share all cores';

await question(import.meta.url, {
  name: 'load',
  title: 'The load tester',
  text: `GET over keep-alive connections to ${hasNginx ? 'nginx' : 'a stand-in for nginx'}, one worker process; ${cores}; requests as the server counts them`,
  time: { warmup: 500, ms: 400 },
  // Each needs its time to start: more would take longer than all other questions.
  rounds: 3,
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    // Near 100, the server is the limit: no generator can do better by more than what is missing.
    server: { title: 'server busy', unit: '%', better: 'lower' },
    p99: { title: "latency p99, by wrk's reckoning", unit: 'ms', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'wrk', run: by('wrk') },
    { name: 'autocannon', run: by('autocannon') },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    ...inCases(cases, { ...ours, metric: 'rate', peer: 'wrk', atLeast: 1 }),
    ...inCases(cases, { ...ours, metric: 'rate', peer: 'autocannon', atLeast: 2 }),
    ...inCases(cases, { ...ours, metric: 'p99', peer: 'wrk' }),
  ],
});
