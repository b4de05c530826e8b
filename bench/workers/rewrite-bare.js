// One thread of scaling/service.js without the service: the same system calls through koffi alone.
import { workerData } from 'node:worker_threads';
import { EPOLLET, EPOLLIN, Epoll, sys } from '../lib/ours.js';
import { bareCalls } from '../lib/peers.js';

const { counts, stop, fds } = workerData;
const { epollWait, read, write } = bareCalls();
const epoll = new Epoll();
for (let i = 0; i < fds; i++) epoll.register(sys.eventfd(1), { events: EPOLLIN | EPOLLET });
const eventWords = process.arch === 'x64' ? 3 : 4;
const events = new Uint32Array(fds * eventWords);
const value = new Uint32Array(2);
const one = new Uint8Array(new BigUint64Array([1n]).buffer);

while (Atomics.load(stop, 0) === 0) {
  const ready = epollWait(epoll.fd, events, fds, 20);
  for (let i = 0; i < ready; i++) {
    const fd = events[(i + 1) * eventWords - 2];
    read(fd, value, 8);
    counts[0]++;
    write(fd, one, 8);
  }
}
