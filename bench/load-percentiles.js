// What load generators say of p99, beside what it was: the server keeps a record of its own latencies.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { generators } from './lib/generators.js';
import { inCases } from './lib/goals.js';
import { ownLoad } from './lib/own-load.js';
import { question } from './lib/question.js';
import { startProcess } from './lib/server.js';

/** As few as let the server's timers be punctual. */
const CONNECTIONS = 16;

const cases = [
  { name: 'even from 1 to 20 ms', delays: 'even' },
  { name: '2 ms, one in fifty 50 ms', delays: 'one in fifty' },
];

const by =
  run =>
  async ({ delays }, { ms }) => {
    const served = await startProcess('delays', delays, 1);
    const { p99, sent, received } = await run(`http://127.0.0.1:${served.port}/`, ms);
    const known = await served.p99();
    await served.stop();
    return { values: { off: Math.abs(p99 / known - 1) * 100, said: p99, known }, sent, received };
  };

async function byOurs(url, ms) {
  const { sent, received, result } = await ownLoad(url, { connections: CONNECTIONS, ms });
  return { sent, received, p99: result.latency.p99 };
}

/** For whole seconds. */
const byCommand = name => async (url, ms) => {
  const options = { url, connections: CONNECTIONS, threads: 1, seconds: Math.max(1, Math.round(ms / 1000)) };
  const [file, ...args] = generators[name].command(options);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return generators[name].result(output);
};

await question(import.meta.url, {
  name: 'load-percentiles',
  title: "A load tester's p99",
  text: `${CONNECTIONS} connections to a server that keeps its own record of how long each answer took; one thread`,
  time: { warmup: 0, ms: 2000 },
  rounds: 3,
  metrics: {
    off: { title: 'off by', unit: '%', better: 'lower' },
    said: { title: 'p99 said', unit: 'ms', better: 'lower' },
    known: { title: "p99 by the server's record", unit: 'ms', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'wrk', run: by(byCommand('wrk')) },
    { name: 'autocannon', run: by(byCommand('autocannon')) },
    { name: 'epoll-pool', ours: true, run: by(byOurs) },
  ],
  goals: inCases(cases, { ours: 'epoll-pool', metric: 'off', atMost: 10 }),
});
