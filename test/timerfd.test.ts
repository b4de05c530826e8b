/** Timers as fds. */
import { EPOLLIN, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { closing, drain, flagsOf } from './support/fds.ts';
import { owned } from './support/within.ts';

/** Waits for the timer's next expiry; milliseconds since `from`. */
function expiry(epoll: Epoll, from: number): number {
  expect(epoll.wait(new Events(1), 10_000)).toBe(1);
  return performance.now() - from;
}

function timer(ms: number, intervalMs?: number): { fd: number; epoll: Epoll; from: number } {
  const epoll = owned(new Epoll());
  const from = performance.now();
  const fd = closing(sys.timerfd(ms, intervalMs));
  epoll.register(fd, { events: EPOLLIN });
  return { fd, epoll, from };
}

test('close-on-exec and non-blocking', () => {
  const { fd } = timer(60_000);
  expect(flagsOf(fd)).toEqual({ nonblocking: true, closeOnExec: true });
  expect(drain(fd)).toBe(-1);
});

test.each([0.2, 1.5, 30, 100.5])('%d ms: once, never early', ms => {
  const { fd, epoll, from } = timer(ms);
  const after = expiry(epoll, from);
  expect(after).toBeGreaterThanOrEqual(ms);
  expect(after).toBeLessThan(ms + 500);
  expect(drain(fd)).toBe(1);
  expect(epoll.wait(new Events(1), ms + 20)).toBe(0);
});

test('a fraction is not rounded up to a millisecond', () => {
  const times = Array.from({ length: 30 }, () => {
    const { epoll, from } = timer(0.2);
    return expiry(epoll, from);
  });
  expect(Math.min(...times)).toBeLessThan(0.9);
});

test('0 is at once', () => {
  const { fd, epoll, from } = timer(0);
  expect(expiry(epoll, from)).toBeLessThan(500);
  expect(drain(fd)).toBe(1);
  expect(epoll.wait(new Events(1), 20)).toBe(0);
});

test('the smallest fraction is no disarmed timer', () => {
  for (const ms of [1e-7, Number.MIN_VALUE]) expect(timer(ms).epoll.wait(new Events(1), 5000)).toBe(1);
});

test('an interval goes on, and its expiries add up', () => {
  const { fd, epoll, from } = timer(0, 20);
  const events = new Events(1);
  let expiries = 0;
  while (performance.now() - from < 300) {
    epoll.wait(events, 1000);
    expiries += Math.max(drain(fd), 0);
  }
  const elapsed = performance.now() - from;
  expect(expiries).toBeGreaterThanOrEqual(14);
  expect(expiries).toBeLessThanOrEqual(Math.floor(elapsed / 20) + 1);
});

test('the first expiry after ms, the next after the interval', () => {
  const { fd, epoll, from } = timer(60, 5.5);
  expect(expiry(epoll, from)).toBeGreaterThanOrEqual(60);
  drain(fd);
  expect(expiry(epoll, from)).toBeGreaterThanOrEqual(65.5);
});

test('years are taken', () => {
  expect(timer(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).epoll.wait(new Events(1), 5)).toBe(0);
});
