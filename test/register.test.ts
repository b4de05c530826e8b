/** register, modify and unregister do what epoll_ctl does, and fail as it fails. */
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { EPOLLET, EPOLLIN, EPOLLOUT, Epoll, EpollError, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { closing, eventfd, signal, unusedFd } from './support/fds.ts';
import { ROOT } from './support/run.ts';
import { owned, thrown } from './support/within.ts';

test('only what is registered is reported, and no more after unregister', () => {
  const epoll = owned(new Epoll());
  const events = new Events(4);
  const [watched, other] = [eventfd(1), eventfd(1)];
  epoll.register(watched, { events: EPOLLIN });
  expect(epoll.wait(events, 0)).toBe(1);
  expect([...events]).toEqual([{ events: EPOLLIN, data: BigInt(watched) }]);
  epoll.register(other, { events: EPOLLOUT });
  expect(epoll.wait(events, 0)).toBe(2);
  epoll.unregister(watched);
  expect(epoll.wait(events, 0)).toBe(1);
  expect([...events]).toEqual([{ events: EPOLLOUT, data: BigInt(other) }]);
});

test('modify replaces mask and data both, and looks at the fd anew', () => {
  const epoll = owned(new Epoll());
  const events = new Events(4);
  const fd = eventfd(1);
  epoll.register(fd, { events: 0, data: 1n });
  expect(epoll.wait(events, 0)).toBe(0);
  epoll.modify(fd, { events: EPOLLIN | EPOLLOUT, data: 2n });
  expect(epoll.wait(events, 0)).toBe(1);
  expect([...events]).toEqual([{ events: EPOLLIN | EPOLLOUT, data: 2n }]);
  epoll.modify(fd, { events: EPOLLOUT });
  expect(epoll.wait(events, 0)).toBe(1);
  expect([...events]).toEqual([{ events: EPOLLOUT, data: BigInt(fd) }]);
});

test('a mask with EPOLLET is taken signed and unsigned, and reported unsigned', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  const signed = EPOLLIN | EPOLLET;
  expect(signed).toBeLessThan(0);
  epoll.register(fd, { events: signed });
  expect(epoll.registered()[0]?.events).toBeGreaterThan(0x8000_0000);
  epoll.modify(fd, { events: signed >>> 0 });
  epoll.modify(fd, { events: signed });
  signal(fd);
  const events = new Events(1);
  expect([epoll.wait(events, 0), epoll.wait(events, 0)]).toEqual([1, 0]); // edge-triggered indeed
  expect(epoll.registered()[0]?.events).toBe((signed | 0x18) >>> 0);
});

test('whatever carries an fd is taken for it', () => {
  const epoll = owned(new Epoll());
  const [timer, nested] = [{ fd: eventfd(1) }, owned(new Epoll())];
  epoll.register(timer, { events: EPOLLIN });
  epoll.register(nested, { events: EPOLLIN });
  expect(new Set(epoll.registered().map(r => r.fd))).toEqual(new Set([timer.fd, nested.fd]));
  epoll.modify(timer, { events: EPOLLOUT });
  epoll.unregister(timer);
  epoll.unregister(nested);
  expect(epoll.registered()).toEqual([]);
});

test('closing an fd takes it out', () => {
  const epoll = owned(new Epoll());
  const fd = sys.eventfd(1);
  epoll.register(fd, { events: EPOLLIN });
  sys.close(fd);
  expect(epoll.wait(new Events(1), 0)).toBe(0);
  expect(epoll.registered()).toEqual([]);
});

test('the kernel refuses: EEXIST, ENOENT, EBADF, EPERM, EINVAL, ELOOP', () => {
  const epoll = owned(new Epoll());
  const [fd, absent] = [eventfd(), eventfd()];
  const init = { events: EPOLLIN };
  epoll.register(fd, init);
  const file = closing(openSync(`${ROOT}package.json`, 'r'));
  const other = owned(new Epoll());
  other.register(epoll, init);
  const refusals: Array<[() => void, string, number]> = [
    [() => epoll.register(fd, init), 'EEXIST', fd],
    [() => epoll.modify(absent, init), 'ENOENT', absent],
    [() => epoll.unregister(absent), 'ENOENT', absent],
    [() => epoll.register(file, init), 'EPERM', file],
    [() => epoll.register(epoll, init), 'EINVAL', epoll.fd],
    [() => epoll.register(other, init), 'ELOOP', other.fd],
  ];
  for (const [call, code, subject] of refusals) {
    const error = thrown(call);
    expect(error).toBeInstanceOf(EpollError);
    expect(error).toMatchObject({ code, syscall: 'epoll_ctl', fd: subject });
  }
  expect(epoll.registered().map(r => r.fd)).toEqual([fd]);
});

test('a closed fd, and the largest number, are EBADF', () => {
  const epoll = owned(new Epoll());
  for (const fd of [unusedFd(), 0x7fff_ffff]) {
    expect(thrown(() => epoll.register(fd, { events: EPOLLIN }))).toMatchObject({ code: 'EBADF', fd });
    expect(thrown(() => epoll.modify(fd, { events: EPOLLIN }))).toMatchObject({ code: 'EBADF', fd });
    expect(thrown(() => epoll.unregister(fd))).toMatchObject({ code: 'EBADF', fd });
  }
});

test('a device that can be watched, can', () => {
  const epoll = owned(new Epoll());
  const random = closing(openSync('/dev/random', 'r'));
  epoll.register(random, { events: EPOLLIN });
  expect(epoll.registered().map(r => r.fd)).toEqual([random]);
  const nothing = closing(openSync(devNull, 'r'));
  expect(thrown(() => epoll.register(nothing, { events: EPOLLIN }))).toMatchObject({ code: 'EPERM' });
});

test('an EpollError is shaped like Node’s own', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  const error = thrown(() => epoll.unregister(fd));
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(EpollError);
  expect(Object.entries(Object(error))).toEqual([
    ['code', 'ENOENT'],
    ['errno', -2],
    ['syscall', 'epoll_ctl'],
    ['fd', fd],
  ]);
  expect(error).toMatchObject({
    name: 'EpollError',
    message: `ENOENT: no such file or directory, epoll_ctl (fd ${fd})`,
    stack: expect.stringContaining('register.test.ts'),
  });
});
