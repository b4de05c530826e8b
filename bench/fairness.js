// Fairness: HTTP answers of 20 SHA-256, and one request in 20 that costs 20 ms. How long do the cheap ones take?
import { drive } from './lib/load.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { percentile } from './lib/statistics.js';

const CONNECTIONS = 64;
const THREADS = 2;
const WORK = 'sha256 20';
const SLOW_EVERY = 20;

const by = server => async (_, time) => {
  const served = await startServer(server, WORK, THREADS);
  const { cheap, rate, sent, received } = await drive({
    server: served,
    connections: CONNECTIONS,
    slowEvery: SLOW_EVERY,
    ...time,
    onStart: served.reset,
  });
  await served.stop();
  return { values: { p50: percentile(cheap, 0.5), p99: percentile(cheap, 0.99), rate }, sent, received };
};

const goal = { case: '64 connections', ours: 'epoll-pool', metric: 'p99' };

await question(import.meta.url, {
  name: 'fairness',
  title: 'Fairness',
  text: `64 connections, one request in ${SLOW_EVERY} costs 20 ms; the latency of the others`,
  time: { warmup: 500, ms: 2500 },
  metrics: {
    p99: { title: 'p99', unit: 'ms', better: 'lower' },
    p50: { title: 'p50', unit: 'ms', better: 'lower' },
    rate: { title: 'rate', unit: 'requests/s', better: 'higher' },
  },
  cases: [{ name: '64 connections' }],
  contestants: [
    { name: 'net + piscina', run: by('piscina') },
    { name: 'node:cluster', run: by('cluster') },
    { name: 'node:net alone', run: by('net') },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    { ...goal, peer: 'net + piscina', atMost: 1 },
    { ...goal, peer: 'node:cluster', atMost: 1 },
    { ...goal, peer: 'node:net alone', atMost: 1 },
  ],
});
