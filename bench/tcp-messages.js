// TCP messages: the loop of raw-wait with 1 kB messages over 64 TCP connections for each thread.
import { inC } from './lib/contestant.js';
import { exchange } from './lib/exchange.js';
import { question } from './lib/question.js';

const cases = [
  { name: '1 thread', threads: 1 },
  { name: '2 threads', threads: 2 },
];

const goal = { metric: 'rate', ours: 'epoll-pool', peer: 'C' };

await question(import.meta.url, {
  name: 'tcp-messages',
  title: 'TCP messages',
  text: 'each thread writes 1 kB to 64 TCP connections, waits for up to 64 edges on one shared instance, and reads them',
  rounds: 9,
  metrics: {
    rate: { unit: 'messages/s', better: 'higher' },
    cpu: { title: 'CPU', unit: 'µs/message', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'C', run: inC('raw-wait', ({ threads }, { warmup, ms }) => ['tcp', threads, warmup, ms]) },
    { name: 'epoll-pool', ours: true, run: ({ threads }, time) => exchange('tcp', 'epoll-pool', threads, time) },
  ],
  goals: [
    { ...goal, case: '1 thread', atLeast: 0.93 },
    { ...goal, case: '2 threads', atLeast: 0.85 },
  ],
});
