/** Aborting a waitAsync: it rejects with an AbortError, and no event is lost by it. */
import { EPOLLET, EPOLLIN, Epoll, Events } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { owned, rejection, within } from './support/within.ts';

test('aborted before: it takes nothing', async () => {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET });
  const events = new Events(1);
  const reason = new Error('mine');
  const error = await rejection(epoll.waitAsync(events, -1, { signal: AbortSignal.abort(reason) }));
  expect(error).toMatchObject({ name: 'AbortError', cause: reason });
  expect(error).toBeInstanceOf(Error);
  expect(events.length).toBe(0);
  expect(epoll.wait(events, 0)).toBe(1);
});

test('aborted while it waits: events that come later are the next one’s', async () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  epoll.register(fd, { events: EPOLLIN | EPOLLET });
  const controller = new AbortController();
  const events = new Events(1);
  const aborted = rejection(epoll.waitAsync(events, -1, { signal: controller.signal }));
  setTimeout(() => controller.abort(), 20);
  expect(await aborted).toMatchObject({ name: 'AbortError' });
  signal(fd);
  expect(await within(epoll.waitAsync(events))).toBe(1);
});

test('events and abort at the same time: whoever is not told of the events leaves them', async () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  epoll.register(fd, { events: EPOLLIN | EPOLLET });
  const events = new Events(1);
  let aborted = 0;
  for (let i = 0; i < 300; i++) {
    const controller = new AbortController();
    const waiting = epoll.waitAsync(events, -1, { signal: controller.signal }).catch(error => error.name);
    const abort = (): void => controller.abort();
    if (i % 3 === 0) abort();
    signal(fd);
    if (i % 3 === 1) setImmediate(abort);
    if (i % 3 === 2) queueMicrotask(abort);
    const outcome = await within(waiting);
    if (outcome !== 1) {
      expect([outcome, epoll.wait(events, 0)]).toEqual(['AbortError', 1]);
      aborted++;
    }
    expect(epoll.wait(events, 0)).toBe(0);
  }
  expect(aborted).toBeGreaterThanOrEqual(100);
});

test('an abort after the end changes nothing', async () => {
  const epoll = owned(new Epoll());
  const controller = new AbortController();
  expect(await epoll.waitAsync(new Events(1), 5, { signal: controller.signal })).toBe(0);
  controller.abort();
  expect(await epoll.waitAsync(new Events(1), 5)).toBe(0);
});

test('one of several goes, the others are served', async () => {
  const epoll = owned(new Epoll());
  const controller = new AbortController();
  const first = epoll.waitAsync(new Events(1), 10_000);
  const second = rejection(epoll.waitAsync(new Events(1), -1, { signal: controller.signal }));
  const third = epoll.waitAsync(new Events(1), 10_000);
  controller.abort();
  expect(await second).toMatchObject({ name: 'AbortError' });
  for (let i = 0; i < 2; i++) epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET });
  expect(await within(Promise.all([first, third]))).toEqual([1, 1]);
});

test('AbortSignal.timeout serves, and a signal that many waits share', async () => {
  const epoll = owned(new Epoll());
  const signal = AbortSignal.timeout(30);
  const errors = await Promise.all(
    Array.from({ length: 8 }, () => rejection(epoll.waitAsync(new Events(1), -1, { signal }))),
  );
  for (const error of errors) expect(error).toMatchObject({ name: 'AbortError' });
});
