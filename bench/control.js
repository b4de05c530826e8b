// Control: pairs of register and unregister per second, while two threads wait.
import { inC } from './lib/contestant.js';
import { EPOLLET, EPOLLIN, sys, WaitService } from './lib/ours.js';
import { question } from './lib/question.js';

const FDS = 1000;
const THREADS = 2;

const cases = [
  { name: 'in bulk', bulk: FDS },
  { name: 'one at a time', bulk: 1 },
];

async function pairs({ bulk }, { warmup, ms }) {
  const handler = new URL('workers/nothing.js', import.meta.url);
  const service = await WaitService.start({ threads: THREADS, handler });
  const fds = Array.from({ length: FDS }, () => sys.eventfd());
  const event = { events: EPOLLIN | EPOLLET };
  const run = async milliseconds => {
    const from = performance.now();
    let done = 0;
    for (let at = 0; performance.now() - from < milliseconds; at = (at + bulk) % FDS) {
      const some = fds.slice(at, at + bulk);
      await Promise.all(some.map(fd => service.register(fd, event)));
      await Promise.all(some.map(fd => service.unregister(fd)));
      done += bulk;
    }
    return { done, seconds: (performance.now() - from) / 1000 };
  };
  const before = service.stats().controlCalls;
  const warm = await run(warmup);
  const { done, seconds } = await run(ms);
  const calls = service.stats().controlCalls - before;
  await service.close();
  return { values: { rate: done / seconds }, sent: 2 * (warm.done + done), received: calls };
}

await question(import.meta.url, {
  name: 'control',
  title: 'Control',
  text: `register and unregister of ${FDS} idle eventfds while ${THREADS} threads wait`,
  metrics: { rate: { unit: 'pairs/s', better: 'higher' } },
  cases,
  contestants: [
    { name: 'C', run: inC('control', ({ bulk }, { warmup, ms }) => [THREADS, FDS, bulk, warmup, ms]) },
    { name: 'epoll-pool', ours: true, run: pairs },
  ],
  goals: [
    { case: 'in bulk', ours: 'epoll-pool', metric: 'rate', peer: 'C', atLeast: 0.6 },
    { case: 'one at a time', ours: 'epoll-pool', metric: 'rate', peer: 'C' },
  ],
});
