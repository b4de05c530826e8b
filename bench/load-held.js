// Ten thousand connections held by the load tester, with a little traffic on them: what that takes in memory.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Skip } from './lib/contestant.js';
import { inCases } from './lib/goals.js';
import { hasNginx, startTarget } from './lib/nginx.js';
import { question } from './lib/question.js';

const WORKER = fileURLToPath(new URL('workers/held.js', import.meta.url));
const MB = 1e6;

const CONNECTIONS = 10_000;
const FEW = 100;
const RATE = 2000;

const cases = [{ name: '10,000 connections', fds: 12_000 }];

/** What a process of its own says. */
async function ask(options) {
  const child = fork(WORKER, { execArgv: [] });
  child.send(options);
  const [answer] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${WORKER} ended with ${code}`);
    }),
  ]);
  if (answer.skipped !== undefined) throw new Skip(answer.skipped);
  return answer;
}

async function held(_kase, time) {
  const { warmup, ms, smoke } = time;
  const connections = smoke ? FEW : CONNECTIONS;
  const { url, stop } = await startTarget(connections, time);
  try {
    const idle = await ask({});
    // It tells how far it has come ten times a second.
    const duration = smoke ? 400 : ms;
    const { memory, sent, received, ...rest } = await ask({ url, connections, rate: RATE, warmup, duration });
    if (memory === 0) throw new Error(`not all connections were held: ${JSON.stringify(rest)}`);
    return { values: { memory: (memory - idle.memory) / MB }, sent, received };
  } finally {
    await stop();
  }
}

await question(import.meta.url, {
  name: 'load-held',
  title: 'Connections held by the load tester',
  text: `to ${hasNginx ? 'nginx' : 'a stand-in for nginx'}, with 2,000 requests a second in all; the whole process, less one with an idle service`,
  time: { warmup: 200, ms: 800 },
  rounds: 3,
  metrics: { memory: { unit: 'MB', better: 'lower' } },
  cases,
  contestants: [{ name: 'epoll-pool', ours: true, run: held }],
  goals: inCases(cases, { ours: 'epoll-pool', metric: 'memory', atMost: 60 }),
});
