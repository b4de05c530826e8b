// Wake-up: from just before a process writes to a socket pair until the handler runs, everything else idle.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { program } from './lib/c.js';
import { inC } from './lib/contestant.js';
import { EPOLLIN, Epoll, sys, WaitService } from './lib/ours.js';
import { question } from './lib/question.js';
import { percentile } from './lib/statistics.js';
import { join, shared, startWorker } from './lib/threads.js';

/** Between the end of one wake-up and the next write, so that whoever waits is asleep. */
const PAUSE_MS = 0.5;
/** Wake-ups without a pause before the measured ones: V8 compiles what has run often. */
const WARM_UPS = 10;

/**
 * Has `samples` times 8 bytes written, the time in nanoseconds, each after the one before was answered; without a pause at
 * first. The writer is the same for all, C twin included: what it takes itself is not what is asked.
 * @param watch has what comes from the fd received and answered, as the handler does
 */
async function measure(watch, time) {
  const [from, to] = sys.socketpair();
  const warmup = Math.ceil((time.warmup / PAUSE_MS / 2) * WARM_UPS);
  const samples = warmup + Math.ceil(time.ms / PAUSE_MS / 2);
  const turns = shared(1);
  const latencies = new Float64Array(new SharedArrayBuffer(samples * 8));
  const close = await watch(to, turns, latencies);
  const sent = await write(from, warmup, samples);
  await close();
  const sorted = latencies.slice(warmup).sort();
  const values = { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
  return { values, sent, received: Atomics.load(turns, 0) };
}

/** By c/wake-up.c, or by a thread where it cannot be compiled. @returns how many were answered */
async function write(fd, warmup, samples) {
  const { path } = program('wake-up');
  if (path === undefined) {
    return join(await startWorker('wake-up', { fd, warmup, samples, pause: PAUSE_MS }));
  }
  const args = ['send', PAUSE_MS, warmup, samples - warmup].map(String);
  const [code] = await once(spawn(path, args, { stdio: ['ignore', 'ignore', 'inherit', fd] }), 'exit');
  return code === 0 ? samples : -1;
}

async function byService(fd, turns, latencies) {
  const handler = new URL('workers/wake-up-handler.js', import.meta.url);
  const service = await WaitService.start({ threads: 1, handler, handlerData: { turns, latencies } });
  service.on('error', error => {
    throw error;
  });
  await service.register(fd, { events: EPOLLIN });
  return () => service.close();
}

/** A thread that calls epoll_wait through koffi, and does nothing else: what JavaScript itself takes. */
async function byBareThread(fd, turns, latencies) {
  const epoll = new Epoll();
  epoll.register(fd, { events: EPOLLIN });
  const worker = await startWorker('wake-up-bare', { epfd: epoll.fd, fd, turns, latencies });
  const ended = join(worker);
  return () => ended;
}

async function byNet(fd, turns, latencies) {
  const socket = new Socket({ fd });
  const answer = Buffer.alloc(1);
  socket.on('data', data => {
    const now = process.hrtime.bigint();
    latencies[Atomics.add(turns, 0, 1)] = Number(now - data.readBigInt64LE()) / 1000;
    socket.write(answer);
  });
  return () => socket.destroy();
}

const goal = { case: 'one fd', ours: 'epoll-pool' };

await question(import.meta.url, {
  name: 'wake-up',
  title: 'Wake-up',
  text: 'from just before a process in C writes to a socket pair until the handler runs; one write at a time, all idle before it',
  time: { warmup: 200, ms: 1000 },
  metrics: {
    p50: { title: 'p50', unit: 'µs', better: 'lower' },
    p99: { title: 'p99', unit: 'µs', better: 'lower' },
  },
  cases: [{ name: 'one fd' }],
  contestants: [
    {
      name: 'a thread in C',
      run: inC('wake-up', (_, { warmup, ms }) => [
        'receive',
        PAUSE_MS,
        ...[warmup, ms].map(t => Math.ceil(t / PAUSE_MS / 2)),
      ]),
    },
    { name: 'bare koffi thread', run: (_, time) => measure(byBareThread, time) },
    { name: "node:net 'data'", run: (_, time) => measure(byNet, time) },
    { name: 'epoll-pool', ours: true, run: (_, time) => measure(byService, time) },
  ],
  goals: [
    { ...goal, metric: 'p50', peer: 'a thread in C', atMost: 1.5 },
    { ...goal, metric: 'p50', peer: "node:net 'data'", atMost: 1 },
    { ...goal, metric: 'p50', peer: 'bare koffi thread' },
    { ...goal, metric: 'p99', peer: 'a thread in C' },
    { ...goal, metric: 'p99', peer: "node:net 'data'", atMost: 1 },
  ],
});
