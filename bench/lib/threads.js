// Worker threads of the benchmarks: started together, stopped by a word in shared memory, joined.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Shared 32-bit words. */
export function shared(count) {
  return new Int32Array(new SharedArrayBuffer(count * 4));
}

/** bench/workers/`name`.js with this data. Resolves once it has said that it is ready. */
export async function startWorker(name, data) {
  const worker = new Worker(new URL(`../workers/${name}.js`, import.meta.url), { workerData: data });
  await once(worker, 'message');
  return worker;
}

/** Resolves with what the worker said last, when it has ended. */
export async function join(worker) {
  let last;
  worker.on('message', message => {
    last = message;
  });
  await once(worker, 'exit');
  return last;
}
