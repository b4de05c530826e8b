// Threads that each write to 64 fds, wait for up to 64 edges on one shared epoll instance, and read what is ready.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { meter } from './meter.js';
import { detach, EPOLLET, EPOLLIN, Epoll, sys } from './ours.js';
import { join, shared, startWorker } from './threads.js';

const FDS = 64;
const MESSAGE = 1024;

/** @param {'eventfd' | 'tcp'} kind @param {'epoll-pool' | 'koffi'} calls what makes the system calls */
export async function exchange(kind, calls, threads, time) {
  const epoll = new Epoll();
  const pairs = await (kind === 'tcp' ? tcpPairs(threads * FDS) : eventfds(threads * FDS));
  for (const [, fd] of pairs) epoll.register(fd, { events: EPOLLIN | EPOLLET });
  // For each thread, on a cache line of its own: units sent, units received. A unit is a write to an eventfd, or a byte.
  const counts = new Float64Array(new SharedArrayBuffer(threads * 128));
  const stop = shared(1);
  const workers = await Promise.all(
    Array.from({ length: threads }, (_, i) => {
      const out = pairs.slice(i * FDS, (i + 1) * FDS).map(([fd]) => fd);
      const mine = counts.subarray(i * 16, i * 16 + 2);
      return startWorker('exchange', { kind, calls, epfd: epoll.fd, out, counts: mine, stop });
    }),
  );
  const unit = kind === 'tcp' ? MESSAGE : 1;
  const total = at => counts.reduce((sum, count, i) => (i % 16 === at ? sum + count : sum), 0);
  const values = await meter(() => total(1) / unit, time);
  Atomics.store(stop, 0, 1);
  await Promise.all(workers.map(join));
  let received = total(1);
  const buffer = new Uint8Array(4096);
  const words = new Uint32Array(buffer.buffer);
  for (const [, fd] of pairs) {
    for (let n = sys.read(fd, buffer); n > 0; n = sys.read(fd, buffer)) received += kind === 'tcp' ? n : words[0];
  }
  return { values, sent: total(0), received };
}

function eventfds(count) {
  return Array.from({ length: count }, () => {
    const fd = sys.eventfd();
    return [fd, fd];
  });
}

async function tcpPairs(count) {
  const server = createServer({ pauseOnConnect: true, noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pairs = [];
  while (pairs.length < count) {
    const client = connect({ port: server.address().port, host: '127.0.0.1', noDelay: true });
    const [[peer]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
    pairs.push([detach(client), detach(peer)]);
  }
  server.close();
  return pairs;
}
