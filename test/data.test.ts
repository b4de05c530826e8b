/** The caller's 64 bits come back as they were given. */
import { EPOLLIN, Epoll, Events } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { owned, thrown } from './support/within.ts';

const EDGES = [
  0n,
  1n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x1234_5678_9abc_def0n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  BigInt(Number.MAX_SAFE_INTEGER),
];

function reported(epoll: Epoll): bigint {
  const events = new Events(4);
  expect(epoll.wait(events, 0)).toBe(1);
  return events.dataAt(0);
}

test.each(EDGES)('%s by register, by modify, in registered()', data => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  epoll.register(fd, { events: EPOLLIN, data });
  expect(reported(epoll)).toBe(data);
  epoll.modify(fd, { events: EPOLLIN, data: 7n });
  expect(reported(epoll)).toBe(7n);
  epoll.modify(fd, { events: EPOLLIN, data });
  expect(reported(epoll)).toBe(data);
  expect(epoll.registered()).toMatchObject([{ fd, data }]);
});

test.each([0, -0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER])('the number %d', data => {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(1), { events: EPOLLIN, data });
  expect(reported(epoll)).toBe(BigInt(data));
});

test('without data it is the fd, in modify as well', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  epoll.register(fd, { events: EPOLLIN });
  expect(reported(epoll)).toBe(BigInt(fd));
  epoll.modify(fd, { events: EPOLLIN, data: 2n ** 64n - 1n });
  epoll.modify(fd, { events: EPOLLIN });
  expect(reported(epoll)).toBe(BigInt(fd));
  Reflect.apply(epoll.modify, epoll, [fd, { events: EPOLLIN, data: undefined }]);
  expect(reported(epoll)).toBe(BigInt(fd));
});

test.each([-1n, 2n ** 64n, -1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])('%s is out of range', data => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  const error = thrown(() => epoll.register(fd, { events: EPOLLIN, data }));
  expect(error).toBeInstanceOf(RangeError);
  expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining('event.data') });
  expect(epoll.registered()).toEqual([]);
});
