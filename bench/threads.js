// Threads: how long one and two threads take for the same CPU-bound handlers, whose input is already there.
import { EPOLLIN, sys, WaitService } from './lib/ours.js';
import { question } from './lib/question.js';
import { join, shared, startWorker } from './lib/threads.js';

const PIPES = 64;
const CHUNK = 4096;
/** A pipe's size: what it holds before anybody reads. */
const PIPE_BYTES = 65_536;
const HASHES = 100;

const cases = [
  { name: '1 thread', threads: 1, smoke: true },
  { name: '2 threads', threads: 2, smoke: true },
];

/** Pipes full of input, closed at the other end: each handler run reads 4 kB and hashes them 100 times over. */
async function byService({ threads }, { smoke }) {
  const handler = new URL('workers/threads-handler.js', import.meta.url);
  const counts = shared(2);
  const service = await WaitService.start({ threads, handler, handlerData: { counts, chunk: CHUNK, hashes: HASHES } });
  service.on('error', error => {
    throw error;
  });
  const run = async bytes => {
    const ends = Array.from({ length: PIPES }, () => filled(bytes));
    Atomics.store(counts, 1, PIPES);
    const ended = new Promise(resolve => service.once('message', resolve));
    const from = performance.now();
    for (const fd of ends) service.register(fd, { events: EPOLLIN });
    await ended;
    return performance.now() - from;
  };
  const bytes = sizes(smoke);
  await run(bytes.warmup);
  const took = await run(bytes.measured);
  await service.close();
  const sent = (PIPES * (bytes.warmup + bytes.measured)) / CHUNK;
  return { values: { ms: took }, sent, received: Atomics.load(counts, 0) };
}

function sizes(smoke) {
  return smoke ? { warmup: CHUNK, measured: CHUNK * 4 } : { warmup: PIPE_BYTES / 4, measured: PIPE_BYTES };
}

function filled(bytes) {
  const { readable, writable } = sys.pipe();
  if (sys.write(writable, Buffer.alloc(bytes, 'x')) !== bytes) throw new Error('the pipe holds less');
  sys.close(writable);
  return readable;
}

/** The same hashes in bare worker threads, without fds: what the machine itself allows. */
async function byBareThreads({ threads }, { smoke }) {
  const { warmup, measured } = sizes(smoke);
  const counts = shared(2);
  const share = bytes => (PIPES * bytes) / CHUNK / threads;
  const data = { counts, chunk: CHUNK, hashes: HASHES, warmup: share(warmup), measured: share(measured) };
  const workers = await Promise.all(Array.from({ length: threads }, () => startWorker('threads-bare', data)));
  const from = performance.now();
  Atomics.store(counts, 1, 1);
  Atomics.notify(counts, 1);
  const ends = await Promise.all(workers.map(join));
  const sent = (PIPES * (warmup + measured)) / CHUNK;
  return {
    values: { ms: Math.max(...ends) - (performance.timeOrigin + from) },
    sent,
    received: Atomics.load(counts, 0),
  };
}

const goal = { case: '1 thread', peerCase: '2 threads', metric: 'ms' };

await question(import.meta.url, {
  name: 'threads',
  title: 'One thread to two',
  text: `${PIPES} pipes full of input; each run of the handler reads ${CHUNK} bytes and takes their SHA-256 ${HASHES} times`,
  metrics: { ms: { unit: 'ms', better: 'lower' } },
  cases,
  contestants: [
    { name: 'bare threads, no fds', run: byBareThreads },
    { name: 'epoll-pool', ours: true, run: byService },
  ],
  goals: [
    { ...goal, ours: 'epoll-pool', atLeast: 1.85 },
    { ...goal, ours: 'bare threads, no fds' },
  ],
});
