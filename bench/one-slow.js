// Fairness beside one slow client: one connection whose requests cost 20 ms, 20 with cheap ones. A thread is free all the time.
import { drive } from './lib/load.js';
import { node26 } from './lib/node26.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { percentile } from './lib/statistics.js';

const CHEAP = 20;
const THREADS = 2;

const by =
  (server, node = () => undefined) =>
  async (_, time) => {
    const { port, reset, stop } = await startServer(server, 0, THREADS, node());
    const { cheap, rate, sent, received } = await drive({
      port,
      connections: 1 + CHEAP,
      slowConnections: 1,
      ...time,
      onStart: reset,
    });
    await stop();
    return { values: { p99: percentile(cheap, 0.99), p50: percentile(cheap, 0.5), rate }, sent, received };
  };

const goal = { case: '20 cheap, 1 slow', ours: 'epoll-pool', metric: 'p99' };

await question(import.meta.url, {
  name: 'one-slow',
  title: 'One slow client',
  text: `${CHEAP} connections with cheap requests beside one whose requests cost 20 ms; the latency of the cheap ones`,
  time: { warmup: 500, ms: 2500 },
  metrics: {
    p99: { title: 'p99', unit: 'ms', better: 'lower' },
    p50: { title: 'p50', unit: 'ms', better: 'lower' },
    rate: { title: 'rate', unit: 'requests/s', better: 'higher' },
  },
  cases: [{ name: '20 cheap, 1 slow' }],
  contestants: [
    { name: 'net + piscina', run: by('piscina') },
    { name: 'node:cluster', run: by('cluster') },
    { name: 'sockets transferred (26)', run: by('transfer', node26) },
    { name: 'epoll-pool (26)', run: by('epoll-pool', node26) },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    { ...goal, atMost: 4 },
    { ...goal, peer: 'sockets transferred (26)', atMost: 1 },
    { ...goal, peer: 'node:cluster', atMost: 1 },
  ],
});
