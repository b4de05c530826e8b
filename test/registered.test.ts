/** What the kernel says is registered. */
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { owned } from './support/within.ts';

const ALWAYS = EPOLLERR | EPOLLHUP;

test('fd, mask and data of each; the kernel adds ERR and HUP', () => {
  const epoll = owned(new Epoll());
  expect(epoll.registered()).toEqual([]);
  const [a, b] = [eventfd(), eventfd()];
  epoll.register(a, { events: EPOLLIN, data: 2n ** 64n - 2n });
  epoll.register(b, { events: EPOLLOUT | EPOLLET });
  const byFd = epoll.registered().sort((x, y) => x.fd - y.fd);
  expect(byFd).toEqual(
    [
      { fd: a, events: EPOLLIN | ALWAYS, data: 2n ** 64n - 2n },
      { fd: b, events: (EPOLLOUT | EPOLLET | ALWAYS) >>> 0, data: BigInt(b) },
    ].sort((x, y) => x.fd - y.fd),
  );
});

test('it follows modify, unregister, and the fd’s close', () => {
  const epoll = owned(new Epoll());
  const [a, b] = [eventfd(), sys.eventfd()];
  epoll.register(a, { events: EPOLLIN });
  epoll.register(b, { events: EPOLLIN });
  epoll.modify(a, { events: EPOLLOUT, data: 3n });
  sys.close(b);
  expect(epoll.registered()).toEqual([{ fd: a, events: EPOLLOUT | ALWAYS, data: 3n }]);
  epoll.unregister(a);
  expect(epoll.registered()).toEqual([]);
});

test('a spent oneshot has no readiness bits left', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  epoll.register(fd, { events: EPOLLIN | EPOLLONESHOT });
  expect(epoll.registered()).toMatchObject([{ events: EPOLLIN | EPOLLONESHOT | ALWAYS }]);
  epoll.wait(new Events(1), 0);
  expect((epoll.registered()[0]?.events ?? 0) & EPOLLIN).toBe(0);
});

test('hundreds', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  const copies = Array.from({ length: 800 }, () => sys.dup(fd));
  try {
    for (const copy of copies) epoll.register(copy, { events: EPOLLIN });
    expect(new Set(epoll.registered().map(r => r.fd))).toEqual(new Set(copies));
  } finally {
    for (const copy of copies) sys.close(copy);
  }
});

test('what waitAsync needs for itself does not show', async () => {
  const epoll = owned(new Epoll());
  expect(await epoll.waitAsync(new Events(1), 1)).toBe(0);
  expect(epoll.registered()).toEqual([]);
});
