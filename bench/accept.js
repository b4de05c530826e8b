// Short connections: accepted, one request answered, closed by the server.
import { ownLoadWarm } from './lib/own-load.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { hasWrk, load } from './lib/wrk.js';

const CONNECTIONS = 64;
const THREADS = 2;

const by = (server, threads) => async (_, time) => {
  const served = await startServer(server, 'sha256 0', threads);
  const from = served.cpu();
  const { rate, sent, received, all } = await connecting(served, time);
  const cpu = ((served.cpu() - from) / all) * 1000;
  await served.stop();
  return { values: { rate, cpu }, sent, received };
};

/** wrk connects again when an answer says that the connection ends. */
async function connecting(served, time) {
  if (hasWrk && !time.smoke) return load(served, CONNECTIONS, time, served.reset);
  const options = { connections: CONNECTIONS, ...time, more: ['-H', 'Connection: close'] };
  const result = await ownLoadWarm(`http://127.0.0.1:${served.port}/`, options, served.reset);
  return { ...result, all: result.received };
}

const goal = { case: '64 at a time', ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'accept',
  title: 'Short connections',
  text: `accept, one answer, close; ${CONNECTIONS} at a time by ${hasWrk ? 'wrk' : 'epoll-pool load (wrk is not installed)'}; ${THREADS} threads, node:net one process`,
  time: { warmup: 1000, ms: 1000 },
  metrics: {
    rate: { unit: 'connections/s', better: 'higher' },
    cpu: { title: "server's CPU", unit: 'µs/connection', better: 'lower' },
  },
  cases: [{ name: '64 at a time' }],
  contestants: [
    { name: 'node:net', run: by('net-once', 1) },
    { name: 'epoll-pool, 1 thread', ours: true, run: by('server-once', 1), smoke: false },
    { name: 'epoll-pool', ours: true, run: by('server-once', THREADS) },
  ],
  goals: [
    { ...goal, metric: 'rate', peer: 'node:net', atLeast: 1.5 },
    { ...goal, ours: 'epoll-pool, 1 thread', metric: 'rate', peer: 'node:net' },
    { ...goal, metric: 'cpu', peer: 'node:net' },
  ],
});
