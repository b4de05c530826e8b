/** The reusable buffer. */
import { EPOLLIN, EPOLLOUT, Epoll, Events } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { owned, thrown } from './support/within.ts';

const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

/** An instance with `count` fds that are always ready. */
function ready(count: number): Epoll {
  const epoll = owned(new Epoll());
  for (let i = 0; i < count; i++) epoll.register(eventfd(1), { events: EPOLLIN, data: i });
  return epoll;
}

test('capacity from 1 to INT_MAX / 12', () => {
  expect(new Events(1).capacity).toBe(1);
  const largest = new Events(Math.floor(0x7fff_ffff / 12));
  expect([largest.capacity, largest.length]).toEqual([178_956_970, 0]);
  expect(ready(3).wait(largest, 0)).toBe(3);
});

test('a new one is empty', () => {
  const events = new Events(8);
  expect(events.length).toBe(0);
  expect([...events]).toEqual([]);
  expect(thrown(() => events.eventsAt(0))).toMatchObject(RANGE);
  expect(thrown(() => events.dataAt(0))).toMatchObject(RANGE);
});

test('wait fills no more than the capacity, and the rest comes next', () => {
  const epoll = ready(5);
  const events = new Events(2);
  const seen = new Set<bigint>();
  for (let i = 0; i < 20 && seen.size < 5; i++) {
    expect(epoll.wait(events, 0)).toBe(2);
    expect(events.length).toBe(2);
    for (const event of events) seen.add(event.data);
  }
  expect([...seen].sort()).toEqual([0n, 1n, 2n, 3n, 4n]);
});

test('at and past length, and below 0, is a RangeError; old events are not shown', () => {
  const epoll = ready(3);
  const events = new Events(4);
  expect(epoll.wait(events, 0)).toBe(3);
  expect([0, 1, 2].map(i => events.eventsAt(i))).toEqual([EPOLLIN, EPOLLIN, EPOLLIN]);
  expect([0, 1, 2].map(i => events.dataAt(i)).sort()).toEqual([0n, 1n, 2n]);
  for (const index of [3, 4, 1000, -1, 0.5, Number.NaN, 2 ** 32]) {
    expect(thrown(() => events.eventsAt(index))).toMatchObject(RANGE);
    expect(thrown(() => events.dataAt(index))).toMatchObject(RANGE);
  }
  expect(thrown(() => events.eventsAt(3))).toMatchObject({
    message: 'index must be a whole number below length, 3; received 3',
  });
  for (const index of ['0', 0n, null, undefined]) {
    const error = thrown(() => Reflect.apply(events.eventsAt, events, [index]));
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  expect(owned(new Epoll()).wait(events, 0)).toBe(0);
  expect(events.length).toBe(0);
  expect(thrown(() => events.eventsAt(0))).toMatchObject(RANGE);
});

test('a failed wait leaves it empty', () => {
  const events = new Events(1);
  expect(ready(1).wait(events, 0)).toBe(1);
  expect(thrown(() => Epoll.borrow(eventfd()).wait(events, 0))).toMatchObject({ code: 'EINVAL' });
  expect(events.length).toBe(0);
});

test('iteration gives plain events, and can be done again', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  epoll.register(fd, { events: EPOLLIN | EPOLLOUT });
  const events = new Events(4);
  epoll.wait(events, 0);
  const once = [...events];
  expect(once).toEqual([{ events: EPOLLIN | EPOLLOUT, data: BigInt(fd) }]);
  expect([...events]).toEqual(once);
  epoll.modify(fd, { events: EPOLLOUT, data: 1n });
  epoll.wait(events, 0);
  expect(once[0]?.data).toBe(BigInt(fd)); // a copy, not a view
});

test('capacity and length cannot be written', () => {
  const events = new Events(2);
  expect(Reflect.set(events, 'length', 2)).toBe(false);
  expect(Reflect.set(events, 'capacity', 9)).toBe(false);
  expect([events.length, events.capacity]).toEqual([0, 2]);
});

test('a subclass serves as well', () => {
  class Mine extends Events {}
  const events = new Mine(1);
  expect(ready(1).wait(events, 0)).toBe(1);
  expect(events.dataAt(0)).toBe(0n);
});
