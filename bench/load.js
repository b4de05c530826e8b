// The load tester beside wrk and autocannon: how many requests a second one core of generator gets out of nginx.
import { againstNginx as by } from './lib/against-nginx.js';
import { canPin } from './lib/cpus.js';
import { inCases } from './lib/goals.js';
import { hasNginx } from './lib/nginx.js';
import { question } from './lib/question.js';

const cases = [
  [64, 1, 1.3],
  [64, 2, 1],
  [1000, 1, 1.1],
  [1000, 2, 1],
].map(([connections, threads, overWrk]) => {
  const name = `${connections} connections, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return { name, connections, threads, overWrk, fds: 2000, smoke: connections === 64 && threads === 2 };
});

const ours = { ours: 'epoll-pool' };
const cores = canPin ? 'one core for it and one for the generator' : 'server and generator share all cores';

await question(import.meta.url, {
  name: 'load',
  title: 'The load tester',
  text: `GET over keep-alive connections to ${hasNginx ? 'nginx' : 'a stand-in for nginx'}, one worker process; ${cores}; requests as the server counts them`,
  time: { warmup: 500, ms: 400 },
  // Each needs its time to start: more would take longer than all other questions.
  rounds: 3,
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    // Near 100, the server is the limit: no generator can do better by more than what is missing.
    server: { title: 'server busy', unit: '%', better: 'lower' },
    p99: { title: "latency p99, by wrk's reckoning", unit: 'ms', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'wrk', run: by('wrk') },
    { name: 'autocannon', run: by('autocannon') },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    ...cases.map(({ name, overWrk }) => ({ ...ours, case: name, metric: 'rate', peer: 'wrk', atLeast: overWrk })),
    ...inCases(cases, { ...ours, metric: 'rate', peer: 'autocannon', atLeast: 2 }),
    ...inCases(cases, { ...ours, metric: 'p99', peer: 'wrk' }),
  ],
});
