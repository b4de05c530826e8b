// The thread of wake-up.js that writes, where there is no C compiler; what c/wake-up.c does as `send`.
import { parentPort, workerData } from 'node:worker_threads';
import { EPOLLIN, Epoll, Events, sys } from '../lib/ours.js';

const { fd, warmup, samples, pause } = workerData;
const time = new BigInt64Array(1);
const answer = new Uint8Array(1);
const never = new Int32Array(new SharedArrayBuffer(4));
const epoll = new Epoll();
const events = new Events(1);
let sent = 0;

epoll.register(fd, { events: EPOLLIN });
parentPort.postMessage('ready');
for (; sent < samples; sent++) {
  if (sent >= warmup) Atomics.wait(never, 0, 0, pause);
  time[0] = process.hrtime.bigint();
  sys.write(fd, time);
  if (epoll.wait(events, 5000) === 0) break;
  sys.read(fd, answer);
}
parentPort.postMessage(sent);
