// The thread of wake-up.js that writes.
import { parentPort, workerData } from 'node:worker_threads';
import { sys } from '../lib/ours.js';

const { fd, turns, warmup, samples, pause } = workerData;
const time = new BigInt64Array(1);
const never = new Int32Array(new SharedArrayBuffer(4));
let sent = 0;

parentPort.postMessage('ready');
for (; sent < samples; sent++) {
  if (sent >= warmup) Atomics.wait(never, 0, 0, pause);
  time[0] = process.hrtime.bigint();
  sys.write(fd, time);
  if (!received(sent)) break;
}
parentPort.postMessage(sent);

/** Waits for the receiver, whose notification of the turn before may come late, and is no reason to go on. */
function received(turn) {
  while (Atomics.load(turns, 0) === turn) {
    if (Atomics.wait(turns, 0, turn, 5000) === 'timed-out') return false;
  }
  return true;
}
