// An HTTP server with a small answer, 64 connections: http() of epoll-pool/server beside node:http in processes and threads.
import { node26 } from './lib/node26.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { hasWrk, load } from './lib/wrk.js';

const CONNECTIONS = 64;
const THREADS = 2;

const by =
  (server, node = () => undefined, threads = THREADS) =>
  async (_, time) => {
    const served = await startServer(server, 'sha256 0', threads, { node: node() });
    const from = served.cpu();
    const { rate, sent, received, all } = await load(served, CONNECTIONS, time, served.reset);
    const cpu = ((served.cpu() - from) / all) * 1000;
    await served.stop();
    return { values: { rate, cpu }, sent, received };
  };

const goal = { case: '64 connections', metric: 'rate' };

await question(import.meta.url, {
  name: 'server-http',
  title: 'An HTTP server',
  text: `small answers to ${CONNECTIONS} connections by ${hasWrk ? 'wrk' : 'a client in Node (wrk is not installed)'}; ${THREADS} threads or processes, node:http alone one`,
  time: { warmup: 1000, ms: 1000 },
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    cpu: { title: "server's CPU", unit: 'µs/request', better: 'lower' },
  },
  cases: [{ name: '64 connections' }],
  contestants: [
    { name: 'node:http alone', run: by('node-http') },
    { name: 'node:http, cluster', run: by('node-http-cluster') },
    { name: 'node:http, cluster (26)', run: by('node-http-cluster', node26), smoke: false },
    { name: 'node:http, transferred (26)', run: by('node-http-transfer', node26) },
    { name: 'epoll-pool (26)', run: by('server-http', node26) },
    // The client needs a core for itself by then.
    { name: 'epoll-pool, 1 thread', ours: true, smoke: false, run: by('server-http', undefined, 1) },
    { name: 'epoll-pool', ours: true, run: by('server-http') },
  ],
  goals: [
    { ...goal, ours: 'epoll-pool', peer: 'node:http, cluster', atLeast: 1.5 },
    { ...goal, ours: 'epoll-pool (26)', peer: 'node:http, transferred (26)', atLeast: 1.5 },
    { ...goal, ours: 'epoll-pool (26)', peer: 'node:http, cluster (26)' },
    { ...goal, ours: 'epoll-pool', peer: 'node:http alone' },
    { ...goal, ours: 'epoll-pool, 1 thread', peer: 'node:http, cluster' },
    { ...goal, ours: 'epoll-pool, 1 thread', peer: 'node:http alone' },
    { ...goal, metric: 'cpu', ours: 'epoll-pool', peer: 'node:http, cluster' },
  ],
});
