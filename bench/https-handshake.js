// HTTPS with a whole handshake for each request: P-256, TLS 1.3, no session is resumed.
import { ownLoadWarm } from './lib/own-load.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';

const CONNECTIONS = 64;
const THREADS = 2;
/** A handshake costs the client about what it costs a server: on two it takes of the processors what it needs. */
const CLIENT_THREADS = 2;

const by = server => async (_, time) => {
  const served = await startServer(server, 'sha256 0', THREADS, { secure: true });
  const options = {
    connections: CONNECTIONS,
    threads: CLIENT_THREADS,
    ...time,
    more: ['--insecure', '-H', 'Connection: close'],
  };
  let from = 0;
  const { rate, sent, received, result } = await ownLoadWarm(`https://127.0.0.1:${served.port}/`, options, () => {
    from = served.cpu();
  });
  const cpu = ((served.cpu() - from) / received) * 1000;
  await served.stop();
  return { values: { rate, cpu, handshake: result.tls?.handshake?.p50 }, sent, received };
};

const goal = { case: 'a handshake for each', ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'https-handshake',
  title: 'HTTPS, a handshake for each request',
  text: `Connection: close over ${CONNECTIONS} connections by epoll-pool load, ${CLIENT_THREADS} threads; the server's ${THREADS} threads or processes share the processors with it, node:https alone has one`,
  time: { warmup: 1000, ms: 1000 },
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    cpu: { title: "server's CPU", unit: 'µs/request', better: 'lower' },
    handshake: { title: 'handshake, p50', unit: 'ms', better: 'lower' },
  },
  cases: [{ name: 'a handshake for each' }],
  contestants: [
    { name: 'node:https alone', run: by('node-http') },
    { name: 'node:https, cluster', run: by('node-http-cluster') },
    { name: 'epoll-pool', ours: true, run: by('server-http') },
  ],
  goals: [
    { ...goal, metric: 'rate', peer: 'node:https, cluster', atLeast: 1 },
    { ...goal, metric: 'rate', peer: 'node:https alone', atLeast: 1.8 },
    // Of the processors' time, whoever else needs them.
    { ...goal, metric: 'cpu', peer: 'node:https, cluster' },
    { ...goal, metric: 'cpu', peer: 'node:https alone' },
  ],
});
