// An HTTP server, and one request in 20, or one client in 20, that costs 20 ms. How long do the cheap ones take?
import { inCases } from './lib/goals.js';
import { drive } from './lib/load.js';
import { node26 } from './lib/node26.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { percentile } from './lib/statistics.js';

const THREADS = 2;

/** With the first, costly ones are most of what both threads do, and there are nearly always more than two of them. */
const cases = [
  { name: '1 request in 20', connections: 64, slowEvery: 20 },
  { name: '1 client in 20', connections: 20, slowConnections: 1 },
];

const by =
  (server, node = () => undefined) =>
  async ({ name: _, ...requests }, time) => {
    const served = await startServer(server, 'sha256 0', THREADS, { node: node() });
    const { cheap, rate, sent, received } = await drive({
      server: served,
      ...requests,
      ...time,
      onStart: served.reset,
    });
    await served.stop();
    return { values: { p99: percentile(cheap, 0.99), p50: percentile(cheap, 0.5), rate }, sent, received };
  };

const goal = { metric: 'p99', atMost: 0.5 };

await question(import.meta.url, {
  name: 'server-fairness',
  title: 'An HTTP server with costly requests',
  text: `one request in 20 over 64 connections costs 20 ms, or all of one client in 20; the latency of the others; ${THREADS} threads or processes`,
  time: { warmup: 300, ms: 1500 },
  metrics: {
    p99: { title: 'p99', unit: 'ms', better: 'lower' },
    p50: { title: 'p50', unit: 'ms', better: 'lower' },
    rate: { title: 'rate', unit: 'requests/s', better: 'higher' },
  },
  cases,
  contestants: [
    { name: 'net + piscina', run: by('piscina'), smoke: false },
    { name: 'node:http, cluster', run: by('node-http-cluster'), smoke: false },
    { name: 'node:http, transferred (26)', run: by('node-http-transfer', node26), smoke: false },
    { name: 'epoll-pool (26)', run: by('server-http', node26), smoke: false },
    { name: 'epoll-pool', ours: true, run: by('server-http') },
  ],
  goals: [
    ...inCases(cases, { ...goal, ours: 'epoll-pool', peer: 'net + piscina' }),
    ...inCases(cases, { ...goal, ours: 'epoll-pool', peer: 'node:http, cluster' }),
    ...inCases(cases, { ...goal, ours: 'epoll-pool (26)', peer: 'node:http, transferred (26)' }),
  ],
});
