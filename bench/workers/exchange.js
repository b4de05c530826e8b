// One thread of lib/exchange.js.
import { parentPort, workerData } from 'node:worker_threads';
import { Epoll, Events, sys } from '../lib/ours.js';
import { bareCalls } from '../lib/peers.js';

const { kind, calls, epfd, out, counts, stop } = workerData;
const tcp = kind === 'tcp';
const message = tcp ? new Uint8Array(1024) : new Uint8Array(new BigUint64Array([1n]).buffer);
// Longer than one message: a read that comes up short has read all there is.
const buffer = new Uint8Array(tcp ? 4096 : 16);
const words = new Uint32Array(buffer.buffer);
let sent = 0;
let received = 0;

parentPort.postMessage('ready');
if (calls === 'koffi') runBare();
else run();

function run() {
  const epoll = Epoll.borrow(epfd);
  const events = new Events(64);
  while (Atomics.load(stop, 0) === 0) {
    for (const fd of out) {
      const n = sys.write(fd, message);
      if (n > 0) sent += tcp ? n : 1;
    }
    const ready = epoll.wait(events, 20);
    for (let i = 0; i < ready; i++) {
      const fd = Number(events.dataAt(i));
      for (;;) {
        const n = sys.read(fd, buffer);
        if (n > 0) received += tcp ? n : words[0];
        if (n < buffer.length) break;
      }
    }
    counts[0] = sent;
    counts[1] = received;
  }
}

function runBare() {
  const { epollWait, read, write } = bareCalls();
  const eventWords = process.arch === 'x64' ? 3 : 4;
  const events = new Uint32Array(64 * eventWords);
  while (Atomics.load(stop, 0) === 0) {
    for (const fd of out) {
      const n = write(fd, message, message.length);
      if (n > 0) sent += tcp ? n : 1;
    }
    const ready = epollWait(epfd, events, 64, 20);
    for (let i = 0; i < ready; i++) {
      const fd = events[(i + 1) * eventWords - 2];
      for (;;) {
        const n = read(fd, buffer, buffer.length);
        if (n > 0) received += tcp ? n : words[0];
        if (n < buffer.length) break;
      }
    }
    counts[0] = sent;
    counts[1] = received;
  }
}
