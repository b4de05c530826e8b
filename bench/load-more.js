// The load tester where a request is more than the same bytes again: over TLS, with a connection for each, by a script.
import { againstNginx as by } from './lib/against-nginx.js';
import { canPin } from './lib/cpus.js';
import { hasNginx } from './lib/nginx.js';
import { question } from './lib/question.js';

const TLS = 'https, connections that stay';
const CLOSE = 'Connection: close';
const FIXED = 'one request, again';
const SCRIPT = 'a script that makes each';

const common = { connections: 64, threads: 1, fds: 2000 };
const cases = [
  { ...common, name: TLS, secure: true, smoke: hasNginx },
  { ...common, name: CLOSE, close: true, smoke: true },
  { ...common, name: FIXED },
  { ...common, name: SCRIPT, script: true, smoke: true },
];

const ours = { ours: 'epoll-pool', metric: 'rate' };
const cores = canPin ? 'one core for it and one for the generator' : 'server and generator share all cores';

await question(import.meta.url, {
  name: 'load-more',
  title: 'The load tester: TLS, connecting, scripts',
  text: `64 connections to ${hasNginx ? 'nginx' : 'a stand-in for nginx'} by one thread, one worker process; ${cores}; requests as the server counts them`,
  time: { warmup: 500, ms: 600 },
  rounds: 5,
  metrics: {
    rate: { unit: 'requests/s', better: 'higher' },
    server: { title: 'server busy', unit: '%', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'wrk', run: by('wrk'), only: [TLS, CLOSE] },
    { name: 'autocannon', run: by('autocannon'), only: [SCRIPT] },
    { name: 'epoll-pool', ours: true, run: by('epoll-pool') },
  ],
  goals: [
    { ...ours, case: TLS, peer: 'wrk', atLeast: 0.9 },
    { ...ours, case: CLOSE, peer: 'wrk', atLeast: 1 },
    { ...ours, case: SCRIPT, peerCase: FIXED, atLeast: 0.7 },
    { ...ours, case: SCRIPT, peer: 'autocannon', atLeast: 2 },
  ],
});
