// CPU-heavy HTTP answers: 0, 20 and 200 SHA-256 for each request, 64 connections.
import { inCases } from './lib/goals.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { hasWrk, load } from './lib/wrk.js';

const CONNECTIONS = 64;
const THREADS = 2;

const cases = [
  { name: '0 SHA-256', hashes: 0, overPiscina: 4, smoke: false },
  { name: '20 SHA-256', hashes: 20, overPiscina: 2.7, smoke: true },
  { name: '200 SHA-256', hashes: 200, overPiscina: 1.8 },
];

const by = server => async (kase, time) => {
  const served = await startServer(server, `sha256 ${kase.hashes}`, THREADS);
  const { rate, sent, received } = await load(served, CONNECTIONS, time, served.reset);
  const values = { rate, delay: await served.delay() };
  await served.stop();
  return { values, sent, received };
};

const ours = { ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'http',
  title: 'CPU-heavy HTTP answers',
  text: `64 connections by ${hasWrk ? 'wrk' : 'a client in Node (wrk is not installed)'}; ${THREADS} threads or processes, node:net one`,
  time: { warmup: 1000, ms: 1000 },
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    delay: { title: "main thread's loop delay, p99", unit: 'ms', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'net + piscina', run: by('piscina') },
    { name: 'node:cluster', run: by('cluster') },
    { name: 'node:net alone', run: by('net') },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    ...cases.map(({ name, overPiscina }) => {
      return { ...ours, case: name, metric: 'rate', peer: 'net + piscina', atLeast: overPiscina };
    }),
    ...inCases(cases, { ...ours, metric: 'rate', peer: 'node:cluster', atLeast: 1 }),
    ...inCases(cases, { ...ours, metric: 'rate', peer: 'node:net alone' }),
    ...inCases(cases, { ...ours, metric: 'delay', atMost: 5 }),
  ],
});
