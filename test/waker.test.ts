/** Wakers: one event for one thread. */
import { EPOLLIN, Epoll, Events, Waker } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { countFds, eventfd, flagsOf, pipe } from './support/fds.ts';
import { thread } from './support/thread.ts';
import { owned, thrown } from './support/within.ts';

test('a wake is one event with the data; wakes before it is taken coalesce', () => {
  const epoll = owned(new Epoll());
  const waker = owned(new Waker(epoll, 2n ** 64n - 1n));
  const events = new Events(4);
  expect(epoll.wait(events, 0)).toBe(0);
  waker.wake();
  waker.wake();
  waker.wake();
  expect(epoll.wait(events, 0)).toBe(1);
  expect([...events]).toEqual([{ events: EPOLLIN, data: 2n ** 64n - 1n }]);
  expect(epoll.wait(events, 0)).toBe(0);
  waker.wake();
  expect(epoll.wait(events, 0)).toBe(1);
  expect(epoll.wait(events, 0)).toBe(0);
});

test('several per instance are told apart', () => {
  const epoll = owned(new Epoll());
  const wakers = [1, 2, 3n].map(data => owned(new Waker(epoll, data)));
  const events = new Events(4);
  wakers[2]?.wake();
  wakers[0]?.wake();
  expect(epoll.wait(events, 0)).toBe(2);
  expect(new Set([...events].map(e => e.data))).toEqual(new Set([1n, 3n]));
});

test('one wake wakes one of several waiting threads', async () => {
  const epoll = owned(new Epoll());
  const waker = owned(new Waker(epoll, 1n));
  const stop = owned(new Waker(epoll, 2n));
  const threads = [1, 2, 3].map(() =>
    thread(
      `const epoll = Epoll.borrow(workerData);
       const events = new Events(4);
       let woken = 0;
       post('waits');
       for (;;) {
         epoll.wait(events);
         const all = [...events].map(e => e.data);
         if (all.includes(1n)) { woken++; post('woken'); }
         if (all.includes(2n)) break;
       }
       post({ woken });`,
      epoll.fd,
    ),
  );
  for (const t of threads) expect(await t.message()).toBe('waits');
  const messages: unknown[] = [];
  for (const t of threads) t.worker.on('message', message => messages.push(message));
  for (let round = 1; round <= 20; round++) {
    waker.wake();
    while (messages.length < round) await new Promise(setImmediate);
  }
  // Each thread takes one stop and is gone, so three stops end three threads.
  for (const gone of [1, 2, 3]) {
    stop.wake();
    while (messages.filter(m => m !== 'woken').length < gone) await new Promise(setImmediate);
  }
  expect(messages.filter(m => m === 'woken')).toHaveLength(20);
});

test('from another thread, by its fd', async () => {
  const epoll = owned(new Epoll());
  const waker = owned(new Waker(epoll, 9));
  const t = thread(`Waker.borrow(workerData).wake(); post('done');`, waker.fd);
  const events = new Events(1);
  expect(epoll.wait(events, 10_000)).toBe(1);
  expect(events.dataAt(0)).toBe(9n);
  expect(await t.message()).toBe('done');
});

test('it wakes a wait on the event loop', async () => {
  const epoll = owned(new Epoll());
  const waker = owned(new Waker(epoll, 9));
  const events = new Events(1);
  const waiting = epoll.waitAsync(events, 10_000);
  waker.wake();
  expect(await waiting).toBe(1);
  expect(events.dataAt(0)).toBe(9n);
});

test('close takes it out and gives its fd back; idempotent; EBADF after it', () => {
  const epoll = owned(new Epoll());
  const before = countFds();
  const waker = new Waker(epoll, 1n);
  expect(epoll.registered()).toMatchObject([{ fd: waker.fd, data: 1n }]);
  expect(flagsOf(waker.fd)).toEqual({ nonblocking: true, closeOnExec: true });
  waker.wake();
  waker.close();
  waker.close();
  waker[Symbol.dispose]();
  expect(waker.fd).toBe(-1);
  expect(countFds()).toBe(before);
  expect(epoll.registered()).toEqual([]);
  expect(epoll.wait(new Events(1), 0)).toBe(0);
  expect(thrown(() => waker.wake())).toMatchObject({ name: 'EpollError', code: 'EBADF' });
});

test('close of a borrowed one leaves the owner’s open', () => {
  const epoll = owned(new Epoll());
  const waker = owned(new Waker(epoll, 1n));
  const borrowed = Waker.borrow(waker.fd);
  borrowed.wake();
  borrowed.close();
  borrowed.close();
  expect(thrown(() => borrowed.wake())).toMatchObject({ code: 'EBADF' });
  expect(epoll.wait(new Events(1), 0)).toBe(1);
  waker.wake();
  expect(epoll.wait(new Events(1), 0)).toBe(1);
});

test('close after the instance’s', () => {
  const epoll = new Epoll();
  const before = countFds();
  const waker = new Waker(epoll, 1n);
  epoll.close();
  waker.wake();
  waker.close();
  expect(countFds()).toBe(before - 1);
});

test('a full counter still wakes', () => {
  const epoll = owned(new Epoll());
  const waker = owned(new Waker(epoll, 1n));
  sys.write(waker.fd, new BigUint64Array([2n ** 64n - 2n]));
  expect(epoll.wait(new Events(1), 0)).toBe(1);
  waker.wake();
  expect(epoll.wait(new Events(1), 0)).toBe(1);
});

test('a borrowed fd that is no waker’s is an error, never a hang', () => {
  const { writable, readable } = pipe();
  while (sys.write(writable, new Uint8Array(65_536)) > 0);
  expect(thrown(() => Waker.borrow(writable).wake())).toMatchObject({ code: 'EAGAIN', syscall: 'write' });
  expect(thrown(() => Waker.borrow(readable).wake())).toMatchObject({ code: 'EBADF' });
  expect(thrown(() => Waker.borrow(owned(new Epoll()).fd).wake())).toMatchObject({ code: 'EINVAL' });
  Waker.borrow(eventfd()).wake();
});
