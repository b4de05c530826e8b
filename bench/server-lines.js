// A line server: lines of 1 kB, each answered by itself; 0 and some 50 µs of JavaScript for each. 64 connections.
import { inCases } from './lib/goals.js';
import { node26 } from './lib/node26.js';
import { ownLoadWarm } from './lib/own-load.js';
import { question } from './lib/question.js';
import { startProcess } from './lib/server.js';
import { LINE } from './servers/line.js';

const CONNECTIONS = 64;
const THREADS = 2;

const cases = [
  { name: 'nothing to do', times: 0, smoke: false },
  { name: '50 µs of JSON', times: 5, smoke: true },
];

const by =
  (server, node = () => undefined) =>
  async ({ times }, time) => {
    const served = await startProcess(server, String(times), THREADS, { node: node() });
    // What comes back must be what was sent, byte for byte.
    const options = { connections: CONNECTIONS, ...time, more: ['-b', LINE] };
    let from = 0;
    const { rate, sent, received } = await ownLoadWarm(`tcp://127.0.0.1:${served.port}`, options, () => {
      from = served.cpu();
    });
    const cpu = ((served.cpu() - from) / received) * 1000;
    await served.stop();
    return { values: { rate, cpu }, sent, received };
  };

await question(import.meta.url, {
  name: 'server-lines',
  title: 'A line server',
  text: `lines of 1 kB, each answered by itself, over ${CONNECTIONS} connections by epoll-pool load on one thread; ${THREADS} threads`,
  time: { warmup: 600, ms: 800 },
  metrics: {
    rate: { unit: 'lines/s', better: 'higher' },
    cpu: { title: "server's CPU", unit: 'µs/line', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'WaitService by hand', run: by('lines-by-hand') },
    { name: 'sockets transferred (26)', run: by('lines-transfer', node26) },
    { name: 'epoll-pool (26)', run: by('lines-server', node26) },
    { name: 'epoll-pool', ours: true, run: by('lines-server') },
  ],
  goals: [
    ...inCases(cases, { ours: 'epoll-pool', metric: 'rate', peer: 'WaitService by hand', atLeast: 0.9 }),
    ...inCases(cases, { ours: 'epoll-pool (26)', metric: 'rate', peer: 'sockets transferred (26)', atLeast: 1.2 }),
    ...inCases(cases, { ours: 'epoll-pool', metric: 'cpu', peer: 'WaitService by hand' }),
  ],
});
