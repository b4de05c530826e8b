// Fairness beside one slow client: one connection whose requests cost 20 ms, or one scrypt; 20 with cheap ones. A thread is free all the time.
import { inCases } from './lib/goals.js';
import { drive } from './lib/load.js';
import { node26 } from './lib/node26.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { percentile } from './lib/statistics.js';

const CHEAP = 20;
const THREADS = 2;

const by =
  (server, node = () => undefined) =>
  async ({ slowPath }, time) => {
    const served = await startServer(server, 'sha256 0', THREADS, { node: node() });
    const { cheap, rate, sent, received } = await drive({
      server: served,
      connections: 1 + CHEAP,
      slowConnections: 1,
      slowPath,
      ...time,
      onStart: served.reset,
    });
    await served.stop();
    return { values: { p99: percentile(cheap, 0.99), p50: percentile(cheap, 0.5), rate }, sent, received };
  };

const cases = [
  { name: '20 cheap, 1 slow', slowPath: '/slow', smoke: false },
  { name: '20 cheap, 1 with scrypt', slowPath: '/key', smoke: true },
];

const goal = { ours: 'epoll-pool', metric: 'p99' };

await question(import.meta.url, {
  name: 'one-slow',
  title: 'One slow client',
  text: `${CHEAP} connections with cheap requests beside one whose requests cost 20 ms, or one scrypt; the latency of the cheap ones`,
  time: { warmup: 500, ms: 1500 },
  metrics: {
    p99: { title: 'p99', unit: 'ms', better: 'lower' },
    p50: { title: 'p50', unit: 'ms', better: 'lower' },
    rate: { title: 'rate', unit: 'requests/s', better: 'higher' },
  },
  cases,
  contestants: [
    { name: 'net + piscina', run: by('piscina') },
    { name: 'node:cluster', run: by('cluster') },
    { name: 'sockets transferred (26)', run: by('transfer', node26) },
    { name: 'epoll-pool (26)', run: by('epoll-pool', node26) },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    ...inCases(cases.slice(0, 1), { ...goal, atMost: 4 }),
    ...inCases(cases, { ...goal, ours: 'epoll-pool (26)', peer: 'sockets transferred (26)', atMost: 0.15 }),
    ...inCases(cases, { ...goal, peer: 'node:cluster', atMost: 0.35 }),
  ],
});
