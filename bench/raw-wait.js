// Raw wait: each thread writes 64 eventfds, waits for up to 64 edges on one shared instance, reads them.
import { inC } from './lib/contestant.js';
import { exchange } from './lib/exchange.js';
import { inCases } from './lib/goals.js';
import { question } from './lib/question.js';

const cases = [
  { name: '1 thread', threads: 1 },
  { name: '2 threads', threads: 2 },
];

const ours = { metric: 'rate', ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'raw-wait',
  title: 'Raw wait',
  text: 'each thread writes 64 eventfds, waits for up to 64 edges on one shared epoll instance, and reads them',
  rounds: 9,
  metrics: {
    rate: { unit: 'events/s', better: 'higher' },
    cpu: { title: 'CPU', unit: 'µs/event', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'C', run: inC('raw-wait', ({ threads }, { warmup, ms }) => ['eventfd', threads, warmup, ms]) },
    { name: 'bare koffi', run: ({ threads }, time) => exchange('eventfd', 'koffi', threads, time) },
    { name: 'epoll-pool', ours: true, run: ({ threads }, time) => exchange('eventfd', 'epoll-pool', threads, time) },
  ],
  goals: [
    { ...ours, case: '1 thread', peer: 'C', atLeast: 0.82 },
    { ...ours, case: '2 threads', peer: 'C', atLeast: 0.75 },
    ...inCases(cases, { ...ours, peer: 'bare koffi' }),
  ],
});
