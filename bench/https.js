// HTTPS over connections that stay: small answers, and 20 SHA-256 each, 64 connections.
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { hasWrk, load } from './lib/wrk.js';

const CONNECTIONS = 64;
const THREADS = 2;

const cases = [
  { name: 'small answers', work: 'sha256 0' },
  { name: '20 SHA-256', work: 'sha256 20' },
];

const by =
  server =>
  async ({ work }, time) => {
    const served = await startServer(server, work, THREADS, { secure: true });
    const from = served.cpu();
    const { rate, sent, received, all } = await load(served, CONNECTIONS, time, served.reset);
    const cpu = ((served.cpu() - from) / all) * 1000;
    await served.stop();
    return { values: { rate, cpu }, sent, received };
  };

const [small, hashes] = cases.map(({ name }) => ({ case: name, ours: 'epoll-pool', metric: 'rate' }));

await question(import.meta.url, {
  name: 'https',
  title: 'An HTTPS server',
  text: `${CONNECTIONS} connections that stay, by ${hasWrk ? 'wrk' : 'a client in Node (wrk is not installed)'}; ${THREADS} threads or processes, node:https alone one`,
  time: { warmup: 1000, ms: 1000 },
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    cpu: { title: "server's CPU", unit: 'µs/request', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'node:https alone', run: by('node-http') },
    { name: 'node:https, cluster', run: by('node-http-cluster') },
    { name: 'epoll-pool', ours: true, run: by('server-http') },
  ],
  goals: [
    { ...small, peer: 'node:https alone', atLeast: 1.4 },
    { ...small, peer: 'node:https, cluster', atLeast: 1.2 },
    { ...hashes, peer: 'node:https alone', atLeast: 1.8 },
    { ...hashes, peer: 'node:https, cluster', atLeast: 1.1 },
  ],
});
