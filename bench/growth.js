// Growth: what an event costs, and what memory a registration takes, beside more and more idle registrations.
import { spawnSync } from 'node:child_process';
import { inC, Skip } from './lib/contestant.js';
import { meter } from './lib/meter.js';
import { EPOLLET, EPOLLIN, sys, WaitService } from './lib/ours.js';
import { question } from './lib/question.js';
import { shared } from './lib/threads.js';

const BUSY = 64;
const MOST = 100_000;
/** How many fds the process and Node itself need beside the registered ones. */
const SPARE = 400;

const limit = Number(
  spawnSync('sh', ['-c', `ulimit -n ${MOST + SPARE} 2>/dev/null; ulimit -n`], { encoding: 'utf8' }).stdout,
);
const most = Math.min(MOST, Math.floor((limit - SPARE) / 1000) * 1000);
const cases = [...new Set([100, 1000, 10_000, most])].map(idle => {
  const name = `${idle.toLocaleString('en')} idle`;
  return { name: idle < MOST && idle === most ? `${name} (the limit of open files)` : name, idle, fds: idle + SPARE };
});
const first = cases[0].name;
const last = cases.at(-1).name;

/** The handler reads its eventfd and writes it again: 64 that are always busy, and a thread that never waits. */
async function growing({ idle }, time) {
  const counts = new Float64Array(new SharedArrayBuffer(16));
  const stop = shared(1);
  const service = await WaitService.start({
    threads: 1,
    handler: new URL('workers/growth-handler.js', import.meta.url),
    handlerData: { counts, stop },
    capacity: idle + BUSY,
  });
  const fds = new Int32Array(idle);
  try {
    for (let i = 0; i < idle; i++) fds[i] = sys.eventfd();
  } catch (error) {
    throw new Skip(`${error.code}: this process may not open ${idle} files`);
  }
  const busy = Array.from({ length: BUSY }, () => sys.eventfd(1));
  const memory = await memoryOf(service, fds);
  await Promise.all(busy.map(fd => service.register(fd, { events: EPOLLIN | EPOLLET })));
  const { rate } = await meter(() => counts[0], time);
  Atomics.store(stop, 0, 1);
  await service.close();
  // What is left in an eventfd was written, and its run did not come any more.
  const value = new Uint32Array(2);
  const left = busy.reduce((sum, fd) => sum + (sys.read(fd, value) < 0 ? 0 : value[0]), 0);
  const values = { cost: 1e9 / rate };
  // Of fewer, the noise of the process is more than what is measured.
  if (idle >= 10_000) values.memory = memory;
  return { values, sent: BUSY + counts[1], received: counts[0] + left };
}

async function registerAll(service, fds) {
  for (let i = 0; i < fds.length; i += 1000) {
    const some = Array.from(fds.subarray(i, i + 1000));
    await Promise.all(some.map(fd => service.register(fd, { events: EPOLLIN | EPOLLET })));
  }
}

/** Bytes of this process's memory for each registration. Another service has grown, by then, what is there only once. */
async function memoryOf(service, fds) {
  const another = await WaitService.start({ threads: 1, handler: new URL('workers/nothing.js', import.meta.url) });
  await registerAll(another, fds.subarray(0, 20_000));
  await another.close();
  const before = usedBytes();
  await registerAll(service, fds);
  return (usedBytes() - before) / fds.length;
}

/** What is resident, less the part of V8's heap that nothing is in. */
function usedBytes() {
  for (let i = 0; i < 4; i++) globalThis.gc();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return rss - heapTotal + heapUsed;
}

const ours = { ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'growth',
  title: 'Growth',
  text: `${BUSY} busy eventfds, each written again by its own handler, beside idle registrations; one thread`,
  time: { warmup: 300, ms: 500 },
  metrics: {
    cost: { unit: 'ns/event', better: 'lower' },
    memory: { title: 'memory', unit: 'B/registration', better: 'lower' },
  },
  cases,
  contestants: [
    { name: 'C', run: inC('growth', ({ idle }, { warmup, ms }) => [BUSY, idle, warmup, ms]) },
    // A small young generation: its size would be most of what is measured.
    { name: 'epoll-pool', ours: true, run: growing, nodeArgs: ['--max-semi-space-size=1'] },
  ],
  goals: [
    { ...ours, case: last, metric: 'cost', peerCase: first, atMost: 1.2 },
    { ours: 'C', case: last, metric: 'cost', peerCase: first },
    { ...ours, case: last, metric: 'memory', atMost: 96 },
    { ...ours, case: last, metric: 'cost', peer: 'C' },
  ],
});
