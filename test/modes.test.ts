/** Level, edge, oneshot, and the ends of streams, as epoll(7) has them. */
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { drain, eventfd, pipe, signal, socketpair } from './support/fds.ts';
import { owned } from './support/within.ts';

/** An instance that watches `fd`, and what it reports now: a mask, or 0. */
function watch(fd: number, events: number): { epoll: Epoll; now: () => number } {
  const epoll = owned(new Epoll());
  epoll.register(fd, { events });
  const buffer = new Events(2);
  return { epoll, now: () => (epoll.wait(buffer, 0) === 0 ? 0 : buffer.eventsAt(0)) };
}

test('level: reported as long as it is ready', () => {
  const fd = eventfd();
  const { now } = watch(fd, EPOLLIN);
  expect(now()).toBe(0);
  signal(fd);
  expect([now(), now(), now()]).toEqual([EPOLLIN, EPOLLIN, EPOLLIN]);
  drain(fd);
  expect(now()).toBe(0);
});

test('edge: once for each change', () => {
  const fd = eventfd();
  const { epoll, now } = watch(fd, EPOLLIN | EPOLLET);
  signal(fd);
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
  signal(fd); // still unread: one more edge all the same
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
  drain(fd);
  expect(now()).toBe(0);
  signal(fd);
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
  epoll.modify(fd, { events: EPOLLIN | EPOLLET }); // looks anew
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
});

test('edge: what is ready when it is registered counts as one', () => {
  const { now } = watch(eventfd(1), EPOLLIN | EPOLLET);
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
});

test('oneshot: once, then silent until modify', () => {
  const fd = eventfd(1);
  const { epoll, now } = watch(fd, EPOLLIN | EPOLLONESHOT);
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
  signal(fd);
  expect(now()).toBe(0);
  epoll.modify(fd, { events: EPOLLIN | EPOLLONESHOT });
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
  drain(fd);
  epoll.modify(fd, { events: EPOLLIN | EPOLLONESHOT });
  expect(now()).toBe(0);
  signal(fd);
  expect([now(), now()]).toEqual([EPOLLIN, 0]);
});

test('from IN to IN and OUT, and back', () => {
  const [a, b] = socketpair();
  const { epoll, now } = watch(a, EPOLLIN);
  expect(now()).toBe(0);
  epoll.modify(a, { events: EPOLLIN | EPOLLOUT });
  expect(now()).toBe(EPOLLOUT);
  sys.write(b, new Uint8Array(3));
  expect(now()).toBe(EPOLLIN | EPOLLOUT);
  epoll.modify(a, { events: EPOLLIN });
  expect(now()).toBe(EPOLLIN);
});

test('OUT goes when the buffer is full, and comes back with room', () => {
  const [a, b] = socketpair();
  const { now } = watch(a, EPOLLOUT);
  expect(now()).toBe(EPOLLOUT);
  const block = new Uint8Array(65_536);
  while (sys.write(a, block) > 0);
  expect(now()).toBe(0);
  while (sys.read(b, block) > 0);
  expect(now()).toBe(EPOLLOUT);
});

test('a peer that closes: IN, RDHUP and HUP; a pipe’s writer: HUP; its reader: ERR', () => {
  const [a, b] = socketpair();
  const socket = watch(a, EPOLLIN | EPOLLRDHUP);
  sys.close(b);
  expect(socket.now()).toBe(EPOLLIN | EPOLLRDHUP | EPOLLHUP);
  const first = pipe();
  const reader = watch(first.readable, EPOLLIN);
  sys.close(first.writable);
  expect(reader.now()).toBe(EPOLLHUP);
  const second = pipe();
  const writer = watch(second.writable, EPOLLIN);
  sys.close(second.readable);
  expect(writer.now()).toBe(EPOLLERR);
});

test('HUP comes unasked', () => {
  const [a, b] = socketpair();
  const { now } = watch(a, 0);
  expect(now()).toBe(0);
  sys.close(b);
  expect(now()).toBe(EPOLLHUP);
});
