// CPU-heavy handlers in JavaScript alone: JSON.parse of 4 kB, 0, 4 and 20 times for each request, 64 connections.
import { inCases } from './lib/goals.js';
import { node26 } from './lib/node26.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';
import { hasWrk, load } from './lib/wrk.js';

const CONNECTIONS = 64;
const THREADS = 2;

const cases = [
  { name: '0 JSON.parse', times: 0, smoke: false },
  { name: '4 JSON.parse', times: 4, smoke: true },
  { name: '20 JSON.parse', times: 20 },
];

const by =
  (server, node = () => undefined) =>
  async ({ times }, time) => {
    const served = await startServer(server, `json ${times}`, THREADS, { node: node() });
    const { rate, sent, received } = await load(served, CONNECTIONS, time, served.reset);
    await served.stop();
    return { values: { rate }, sent, received };
  };

const on26 = { ours: 'epoll-pool (26)', metric: 'rate' };
const nothing = cases.slice(0, 1);
const some = cases.slice(1);

await question(import.meta.url, {
  name: 'pure-js',
  title: 'Work in JavaScript alone',
  text: `JSON.parse of 4 kB for each HTTP answer; ${CONNECTIONS} connections by ${hasWrk ? 'wrk' : 'a client in Node (wrk is not installed)'}; ${THREADS} threads or processes, node:net one; on this Node and on Node 26`,
  time: { warmup: 1000, ms: 1000 },
  rounds: 3,
  metrics: { rate: { unit: 'requests/s', better: 'higher' } },
  cases,
  contestants: [
    { name: 'node:cluster (26)', run: by('cluster', node26) },
    { name: 'sockets transferred (26)', run: by('transfer', node26) },
    { name: 'node:net alone (26)', run: by('net', node26), smoke: false },
    { name: 'epoll-pool (26)', run: by('epoll-pool', node26) },
    { name: 'node:cluster', run: by('cluster'), smoke: false },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    ...inCases(some, { ...on26, peer: 'node:cluster (26)', atLeast: 1.05 }),
    ...inCases(some, { ...on26, peer: 'sockets transferred (26)', atLeast: 1.05 }),
    ...inCases(nothing, { ...on26, peer: 'node:cluster (26)' }),
    ...inCases(nothing, { ...on26, peer: 'sockets transferred (26)' }),
    ...inCases(cases, { ...on26, peer: 'node:net alone (26)' }),
    ...inCases(cases, { metric: 'rate', ours: 'epoll-pool', peer: 'node:cluster' }),
  ],
});
