// The load tester beside wrk as a user runs both: on whatever core, counted from the first moment of the test's time.
import { setTimeout as sleep } from 'node:timers/promises';
import { Skip } from './lib/contestant.js';
import { hasNginx, startTarget } from './lib/nginx.js';
import { ownLoad } from './lib/own-load.js';
import { question } from './lib/question.js';
import { hasWrk, wrk } from './lib/wrk.js';

const cases = [
  { name: '64 connections', connections: 64, fds: 2000, ofWrk: 1 },
  { name: '1,000 connections', connections: 1000, fds: 2000, ofWrk: 0.97 },
];

/** The time that was asked for divides what the server counted until the tool has ended. */
const by =
  run =>
  async ({ connections }, time) => {
    const { url, requests, stop } = await startTarget(connections, time, { pin: false });
    try {
      // wrk knows whole seconds only.
      const ms = Math.max(1000, time.ms);
      const from = await requests();
      const { sent, received } = await run(url, connections, ms);
      await sleep(10);
      const rate = (((await requests()) - from) / ms) * 1000;
      return { values: { rate }, sent, received };
    } finally {
      await stop();
    }
  };

function byWrk(url, connections, ms) {
  if (!hasWrk) throw new Skip('wrk is not installed');
  return wrk(url, connections, ms);
}

const goals = cases.map(({ name, ofWrk }) => {
  return { case: name, ours: 'epoll-pool', metric: 'rate', peer: 'wrk', atLeast: ofWrk };
});

await question(import.meta.url, {
  name: 'load-as-user',
  title: 'The load tester as a user runs it',
  text: `GET over keep-alive connections to ${hasNginx ? 'nginx' : 'a stand-in for nginx'} by one thread; nothing is pinned, nothing warmed up; requests as the server counts them`,
  time: { warmup: 0, ms: 2000 },
  metrics: { rate: { unit: 'requests/s', better: 'higher' } },
  cases,
  contestants: [
    { name: 'wrk', run: by(byWrk) },
    { name: 'epoll-pool', ours: true, run: by((url, connections, ms) => ownLoad(url, { connections, ms })) },
  ],
  goals,
});
