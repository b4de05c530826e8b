/** setTimer arms a timerfd again; pidfd tells of a process's end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EPOLLIN, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { closing, drain, eventfd, flagsOf, unusedFd } from './support/fds.ts';
import { owned, thrown, took, within } from './support/within.ts';

const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

/** Milliseconds until the fd is readable; Infinity if it is not within the limit. */
function untilReadable(fd: number, limit: number): number {
  const epoll = owned(new Epoll());
  epoll.register(fd, { events: EPOLLIN });
  let n = 0;
  const ms = took(() => {
    n = epoll.wait(new Events(1), limit);
  });
  return n === 1 ? ms : Number.POSITIVE_INFINITY;
}

test('setTimer arms a timerfd again, from now on', () => {
  const timer = closing(sys.timerfd(60_000));
  const from = performance.now();
  sys.setTimer(timer, 20);
  expect(untilReadable(timer, 10_000)).toBeLessThan(10_000);
  expect(performance.now() - from).toBeGreaterThan(19);
  expect(drain(timer)).toBe(1);
  sys.setTimer(timer, 0);
  expect(untilReadable(timer, 10_000)).toBeLessThan(10_000);
  // What had expired is forgotten.
  sys.setTimer(timer, 60_000);
  expect(drain(timer)).toBe(-1);
});

test('setTimer with an interval, in fractions', () => {
  const timer = closing(sys.timerfd(60_000));
  sys.setTimer(timer, 0.5, 0.25);
  const until = performance.now() + 20;
  while (performance.now() < until);
  expect(drain(timer)).toBeGreaterThanOrEqual(70);
});

test('setTimer with -1 disarms it', () => {
  const timer = closing(sys.timerfd(1, 1));
  expect(untilReadable(timer, 10_000)).toBeLessThan(10_000);
  sys.setTimer(timer, -1, 1);
  expect(drain(timer)).toBe(-1);
  expect(untilReadable(timer, 30)).toBe(Number.POSITIVE_INFINITY);
  sys.setTimer(timer, 1);
  expect(untilReadable(timer, 10_000)).toBeLessThan(10_000);
});

test('setTimer refuses what is no time, and what is no timer', () => {
  const timer = closing(sys.timerfd(0, 5));
  const call = (...args: unknown[]): unknown => thrown(() => Reflect.apply(sys.setTimer, undefined, args));
  for (const wrong of [-0.5, -2, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    expect(call(timer, wrong)).toMatchObject(RANGE);
    expect(call(timer, 1, wrong)).toMatchObject(RANGE);
  }
  expect(call(timer, 1, -1)).toMatchObject(RANGE);
  for (const wrong of ['1', 1n, null, undefined, {}]) expect(call(timer, wrong)).toMatchObject(TYPE);
  expect(call(timer, 1, '1')).toMatchObject(TYPE);
  expect(call(-1, 1)).toMatchObject(RANGE);
  // It goes on as it was armed.
  expect(untilReadable(timer, 10_000)).toBeLessThan(10_000);
  const fd = eventfd();
  expect(call(fd, 1)).toMatchObject({ name: 'EpollError', code: 'EINVAL', syscall: 'timerfd_settime', fd });
  const none = unusedFd();
  expect(call(none, 1)).toMatchObject({ code: 'EBADF', fd: none });
  sys.setTimer(timer, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
});

test('pidfd is readable once the process has ended, and not before', async () => {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await within(once(child, 'spawn'));
  const fd = closing(sys.pidfd(child.pid ?? 0));
  expect(flagsOf(fd)).toEqual({ nonblocking: true, closeOnExec: true });
  expect(untilReadable(fd, 20)).toBe(Number.POSITIVE_INFINITY);
  const epoll = owned(new Epoll());
  epoll.register(fd, { events: EPOLLIN });
  child.stdin.end();
  expect(await epoll.waitAsync(new Events(1), 10_000)).toBe(1);
  expect(untilReadable(fd, 0)).toBeLessThan(1000);
});

test('pidfd of what is no process', () => {
  for (const wrong of [0, -1, 1.5, Number.NaN, 2 ** 31]) expect(thrown(() => sys.pidfd(wrong))).toMatchObject(RANGE);
  for (const wrong of ['1', undefined, null]) {
    expect(thrown(() => Reflect.apply(sys.pidfd, undefined, [wrong]))).toMatchObject(TYPE);
  }
  // Above any pid that the kernel gives (PID_MAX_LIMIT is 2^22).
  expect(thrown(() => sys.pidfd(2 ** 30))).toMatchObject({ name: 'EpollError', code: 'ESRCH', syscall: 'pidfd_open' });
});
