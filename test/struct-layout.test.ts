/** Where the package writes and reads the fields of struct epoll_event is where the C compiler puts them. */
import { pathToFileURL } from 'node:url';
import { EPOLLIN, EPOLLOUT, Epoll, Events } from 'epoll-pool';
import { expect, test } from 'vitest';
import { socketpair } from './support/fds.ts';
import { hasGcc, valuesInC } from './support/gcc.ts';
import { ROOT } from './support/run.ts';
import { owned } from './support/within.ts';

test.skipIf(!hasGcc)('size and offsets are those of C (skipped where there is no gcc)', async () => {
  const layout: Record<string, unknown> = await import(pathToFileURL(`${ROOT}dist/shared/kernel/syscalls.js`).href);
  const [size, events, data] = valuesInC([
    'sizeof(struct epoll_event)',
    'offsetof(struct epoll_event, events)',
    'offsetof(struct epoll_event, data)',
  ]);
  expect(events).toBe(0);
  expect(layout.EVENT_WORDS).toBe(Number(size) / 4);
  expect(layout.DATA_LOW).toBe(Number(data) / 4);
  expect(layout.DATA_HIGH).toBe(Number(data) / 4 + 1);
});

test('many events in one wait keep their masks and data apart', () => {
  const epoll = owned(new Epoll());
  const expected = new Map<bigint, number>();
  for (let i = 0; i < 100; i++) {
    const data = (BigInt(i + 1) << 40n) | 0xffff_ff00n | BigInt(i);
    const events = i % 2 ? EPOLLOUT : EPOLLIN | EPOLLOUT;
    epoll.register(socketpair()[0], { events, data });
    expected.set(data, EPOLLOUT);
  }
  const events = new Events(128);
  expect(epoll.wait(events, 0)).toBe(100);
  expect(new Map([...events].map(event => [event.data, event.events]))).toEqual(expected);
});
