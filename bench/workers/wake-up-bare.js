// The thread of wake-up.js that waits by bare koffi, until all latencies are known.
import { parentPort, workerData } from 'node:worker_threads';
import { bareCalls } from '../lib/peers.js';

const { epfd, fd, turns, latencies } = workerData;
const { epollWait, read, write } = bareCalls();
const events = new Uint32Array(4);
const time = new BigInt64Array(1);
const answer = new Uint8Array(1);

parentPort.postMessage('ready');
for (let i = 0; i < latencies.length; ) {
  if (epollWait(epfd, events, 1, 20) === 0) continue;
  const now = process.hrtime.bigint();
  read(fd, time, 8);
  latencies[i++] = Number(now - time[0]) / 1000;
  Atomics.add(turns, 0, 1);
  write(fd, answer, 1);
}
