// A thread of threads.js that only hashes.
import { parentPort, workerData } from 'node:worker_threads';
import { hashTimes } from './hash.js';

const { counts, chunk, hashes, warmup, measured } = workerData;
const input = Buffer.alloc(chunk, 'x');

function run(times) {
  for (let i = 0; i < times; i++) {
    hashTimes(input, hashes);
    Atomics.add(counts, 0, 1);
  }
}

run(warmup);
parentPort.postMessage('ready');
Atomics.wait(counts, 1, 0, 10_000);
run(measured);
parentPort.postMessage(performance.timeOrigin + performance.now());
