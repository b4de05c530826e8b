/** The fds that sys makes: what they do, and that they are close-on-exec and non-blocking. */
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';
import { EPOLLIN, Epoll, EpollError, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { closing, drain, eventfd, flagsOf, pipe, socketpair, unusedFd } from './support/fds.ts';
import { thread } from './support/thread.ts';
import { owned, thrown, within } from './support/within.ts';

const BOTH = { nonblocking: true, closeOnExec: true };

/** A server of Node's, and its listening fd. */
async function listen(): Promise<{ fd: number; port: number }> {
  const server = createServer();
  onTestFinished(() => {
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await within(once(server, 'listening'));
  const fd: unknown = Reflect.get(Object(Reflect.get(server, '_handle')), 'fd');
  const address = server.address();
  if (typeof fd !== 'number' || typeof address !== 'object' || address === null) throw new Error('not listening');
  return { fd, port: address.port };
}

test('eventfd counts from its initial value', () => {
  const fd = eventfd(3);
  expect(flagsOf(fd)).toEqual(BOTH);
  expect([drain(fd), drain(fd)]).toEqual([3, -1]);
  sys.write(fd, new BigUint64Array([5n]));
  sys.write(fd, new BigUint64Array([2n]));
  expect(drain(fd)).toBe(7);
  expect(drain(eventfd(2 ** 32 - 1))).toBe(2 ** 32 - 1);
  expect(drain(closing(sys.eventfd()))).toBe(-1);
});

test('pipe', () => {
  const { readable, writable } = pipe();
  expect([flagsOf(readable), flagsOf(writable)]).toEqual([BOTH, BOTH]);
  expect(sys.write(writable, Buffer.from('through'))).toBe(7);
  const buffer = Buffer.alloc(16);
  expect(sys.read(readable, buffer)).toBe(7);
  expect(buffer.toString('utf8', 0, 7)).toBe('through');
  expect(thrown(() => sys.read(writable, buffer))).toMatchObject({ code: 'EBADF', syscall: 'read', fd: writable });
});

test('socketpair, both ways', () => {
  const [a, b] = socketpair();
  expect([flagsOf(a), flagsOf(b)]).toEqual([BOTH, BOTH]);
  const buffer = Buffer.alloc(4);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    expect(sys.read(to, buffer)).toBe(-1);
    expect(sys.write(from, Buffer.from('four'))).toBe(4);
    expect(sys.read(to, buffer)).toBe(4);
    expect(buffer.toString()).toBe('four');
  }
});

test('accept takes one connection after the other, then -1', async () => {
  const { fd, port } = await listen();
  // Node would accept them itself: while they connect, this thread does not return to its loop.
  const clients = thread(
    `const { connect } = require('node:net');
     for (let i = 0; i < 2; i++) connect(workerData, '127.0.0.1').once('data', data => post(String(data)));`,
    port,
  );
  const epoll = owned(new Epoll());
  epoll.register(fd, { events: EPOLLIN });
  const accepted: number[] = [];
  while (accepted.length < 2) {
    expect(epoll.wait(new Events(1), 10_000)).toBe(1);
    accepted.push(closing(sys.accept(fd)));
  }
  expect(Math.min(...accepted)).toBeGreaterThan(2);
  expect(sys.accept(fd)).toBe(-1);
  expect(accepted.map(flagsOf)).toEqual([BOTH, BOTH]);
  for (const one of accepted) expect(sys.write(one, Buffer.from('hello'))).toBe(5);
  expect([await clients.message(), await clients.message()]).toEqual(['hello', 'hello']);
});

test('accept of what does not listen', () => {
  expect(thrown(() => sys.accept(eventfd()))).toMatchObject({ code: 'ENOTSOCK', syscall: 'accept4' });
  expect(thrown(() => sys.accept(socketpair()[0]))).toMatchObject({ name: 'EpollError', syscall: 'accept4' });
  const fd = unusedFd();
  expect(thrown(() => sys.accept(fd))).toMatchObject({ code: 'EBADF', fd });
});

test('dup shares the open file and its flags, and is close-on-exec', () => {
  const fd = eventfd(1);
  const copy = closing(sys.dup(fd));
  expect(copy).not.toBe(fd);
  expect(flagsOf(copy)).toEqual(BOTH);
  expect(drain(copy)).toBe(1);
  expect(drain(fd)).toBe(-1);
  sys.close(fd);
  sys.write(copy, new BigUint64Array([4n]));
  expect(drain(copy)).toBe(4);
  expect(thrown(() => sys.dup(fd))).toMatchObject({ code: 'EBADF', syscall: 'fcntl', fd });
  expect(flagsOf(closing(sys.dup(0))).closeOnExec).toBe(true);
});

test('setNonblocking', () => {
  const fd = closing(openSync('/dev/zero', 'r'));
  expect(flagsOf(fd).nonblocking).toBe(false);
  sys.setNonblocking(fd);
  expect(flagsOf(fd).nonblocking).toBe(true);
  sys.setNonblocking(fd);
  const none = unusedFd();
  expect(thrown(() => sys.setNonblocking(none))).toMatchObject({ code: 'EBADF', syscall: 'fcntl', fd: none });
});

test('close, once', () => {
  const fd = sys.eventfd();
  sys.close(fd);
  const error = thrown(() => sys.close(fd));
  expect(error).toBeInstanceOf(EpollError);
  expect(error).toMatchObject({
    code: 'EBADF',
    errno: -9,
    syscall: 'close',
    fd,
    message: `EBADF: bad file descriptor, close (fd ${fd})`,
  });
});
