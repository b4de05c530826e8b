// Start and close: a service of two threads with a handler, and a bare piscina of two threads that has run a task on each.
import { Piscina } from 'piscina';
import { WaitService } from './lib/ours.js';
import { question } from './lib/question.js';
import { median } from './lib/statistics.js';

const THREADS = 2;
const CYCLES = 5;
const file = new URL('workers/nothing.js', import.meta.url);

/** Median times of several cycles, after one that loads what is needed. */
async function cycles(start, close, { smoke }) {
  const starts = [];
  const closes = [];
  const count = smoke ? 1 : CYCLES;
  for (let i = 0; i <= count; i++) {
    const from = performance.now();
    const one = await start();
    const started = performance.now();
    await close(one);
    if (i === 0 && !smoke) continue;
    starts.push(started - from);
    closes.push(performance.now() - started);
  }
  const both = median(starts.map((ms, i) => ms + closes[i]));
  return {
    values: { both, start: median(starts), close: median(closes) },
    sent: count,
    received: starts.length - (smoke ? 1 : 0),
  };
}

async function startPiscina() {
  const pool = new Piscina({ filename: file.href, minThreads: THREADS, maxThreads: THREADS });
  await Promise.all(Array.from({ length: THREADS }, () => pool.run(null)));
  return pool;
}

const goal = { case: '2 threads', ours: 'epoll-pool', peer: 'piscina' };

await question(import.meta.url, {
  name: 'start-close',
  title: 'Start and close',
  text: `${THREADS} threads, each with its module loaded, and their end`,
  metrics: {
    both: { title: 'both', unit: 'ms', better: 'lower' },
    start: { title: 'start', unit: 'ms', better: 'lower' },
    close: { title: 'close', unit: 'ms', better: 'lower' },
  },
  cases: [{ name: '2 threads' }],
  contestants: [
    { name: 'piscina', run: (_, time) => cycles(startPiscina, pool => pool.destroy(), time) },
    {
      name: 'epoll-pool',
      ours: true,
      run: (_, time) =>
        cycles(
          () => WaitService.start({ threads: THREADS, handler: file }),
          service => service.close(),
          time,
        ),
    },
  ],
  goals: [
    { ...goal, metric: 'both', atMost: 1.1 },
    { ...goal, metric: 'start', atMost: 1.3 },
    { ...goal, metric: 'close' },
  ],
});
