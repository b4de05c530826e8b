// The product itself under the load that is simulated: services whose handlers read an eventfd, compute, and write it again.
// Arguments: threads, services, ns that a handler computes, ms, and `bare` for a loop with the same calls through koffi alone.
import { Worker } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, sys, WaitService } from '../lib/ours.js';
import { shared } from '../lib/threads.js';

const FDS = 64;
const WINDOW_MS = 10;
const WARMUP_MS = 200;

const [threads, services, ns, ms] = process.argv.slice(2, 6).map(Number);
const counts = new Float64Array(new SharedArrayBuffer(threads * 128));
const stop = shared(1);
const handlerData = { milliseconds: ns / 1e6, counts, stop, lanes: shared(1) };

const close = process.argv[6] === 'bare' ? bare() : await ours();
const rates = [];
const windows = Math.round(ms / WINDOW_MS);
let before = { at: Infinity, cpu: process.cpuUsage(), count: 0 };
await passed(WARMUP_MS);
for (let i = 0; i <= windows; i++) {
  const now = { at: performance.now(), cpu: process.cpuUsage(), count: counts.reduce((sum, n) => sum + n, 0) };
  const took = now.at - before.at;
  const cpu = (now.cpu.user + now.cpu.system - before.cpu.user - before.cpu.system) / 1000;
  // Only a time in which each thread had its core to itself is counted.
  if (took > 0 && cpu > 0.97 * threads * took) rates.push(((now.count - before.count) / took) * 1000);
  before = now;
  await passed(WINDOW_MS);
}
Atomics.store(stop, 0, 1);
await close();
rates.sort((a, b) => a - b);
console.log(`RESULT ${JSON.stringify({ rate: rates[rates.length >> 1] ?? 0, whole: rates.length, windows })}`);

async function ours() {
  const handler = new URL('../workers/rewrite-handler.js', import.meta.url);
  const all = await Promise.all(
    Array.from({ length: services }, () => WaitService.start({ threads: threads / services, handler, handlerData })),
  );
  for (let i = 0; i < threads * FDS; i++) {
    await all[i % services].register(sys.eventfd(1), { events: EPOLLIN | EPOLLET });
  }
  return () => Promise.all(all.map(service => service.close()));
}

function bare() {
  const worker = new Worker(new URL('../workers/rewrite-bare.js', import.meta.url), {
    workerData: { ...handlerData, fds: FDS },
  });
  return () => worker.terminate();
}

function passed(milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}
