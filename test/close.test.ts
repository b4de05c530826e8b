/** close(), and what is left to do after it. */
import { EPOLLIN, Epoll, EpollError, Events, Waker } from 'epoll-pool';
import { expect, test } from 'vitest';
import { countFds, eventfd } from './support/fds.ts';
import { owned, rejection, thrown } from './support/within.ts';

test('it gives the fd back; twice is as once', () => {
  const before = countFds();
  const epoll = new Epoll();
  expect(countFds()).toBe(before + 1);
  expect([epoll.closed, epoll.fd >= 0]).toEqual([false, true]);
  epoll.close();
  expect([epoll.closed, epoll.fd]).toEqual([true, -1]);
  expect(countFds()).toBe(before);
  const next = owned(new Epoll()); // takes the number that has become free
  epoll.close();
  epoll[Symbol.dispose]();
  expect(next.wait(new Events(1), 0)).toBe(0);
});

test('Symbol.dispose closes', () => {
  const epoll = new Epoll();
  epoll[Symbol.dispose]();
  expect(epoll.closed).toBe(true);
});

test('every method is EBADF after it', async () => {
  const epoll = new Epoll();
  const fd = eventfd(1);
  epoll.register(fd, { events: EPOLLIN });
  epoll.close();
  const init = { events: EPOLLIN };
  expect(thrown(() => epoll.register(fd, init))).toMatchObject({ code: 'EBADF', errno: -9, syscall: 'epoll_ctl', fd });
  expect(thrown(() => epoll.modify(fd, init))).toMatchObject({ code: 'EBADF', syscall: 'epoll_ctl', fd });
  expect(thrown(() => epoll.unregister(fd))).toMatchObject({ code: 'EBADF', syscall: 'epoll_ctl', fd });
  expect(thrown(() => epoll.wait(new Events(1)))).toMatchObject({ code: 'EBADF', syscall: 'epoll_wait' });
  expect(thrown(() => epoll.registered())).toMatchObject({ code: 'EBADF' });
  expect(thrown(() => new Waker(epoll, 1n))).toMatchObject({ code: 'EBADF' });
  for (const timeout of [-1, 0, 10]) {
    const error = await rejection(epoll.waitAsync(new Events(1), timeout));
    expect(error).toBeInstanceOf(EpollError);
    expect(error).toMatchObject({ code: 'EBADF', syscall: 'epoll_wait' });
  }
  for await (const _ of epoll) throw new Error('an event of a closed instance');
});

test('wrong arguments are told first', () => {
  const epoll = new Epoll();
  epoll.close();
  expect(thrown(() => epoll.register(-1, { events: 1 }))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
});

test('a borrowed one works on the same instance, and its close leaves that open', () => {
  const epoll = owned(new Epoll());
  const borrowed = Epoll.borrow(epoll.fd);
  const fd = eventfd(1);
  borrowed.register(fd, { events: EPOLLIN });
  expect(epoll.wait(new Events(1), 0)).toBe(1);
  const before = countFds();
  borrowed.close();
  borrowed.close();
  expect([borrowed.closed, borrowed.fd]).toEqual([true, -1]);
  expect(thrown(() => borrowed.wait(new Events(1)))).toMatchObject({ code: 'EBADF' });
  expect(countFds()).toBe(before);
  expect(epoll.wait(new Events(1), 0)).toBe(1);
});

test('what is borrowed and no epoll instance is EINVAL', async () => {
  const fd = eventfd(1);
  const borrowed = owned(Epoll.borrow(fd));
  expect(thrown(() => borrowed.wait(new Events(1)))).toMatchObject({ code: 'EINVAL', syscall: 'epoll_wait', fd });
  expect(thrown(() => borrowed.register(eventfd(), { events: EPOLLIN }))).toMatchObject({ code: 'EINVAL' });
  expect(thrown(() => borrowed.registered())).toMatchObject({ code: 'EINVAL', fd });
  expect(await rejection(borrowed.waitAsync(new Events(1)))).toMatchObject({ code: 'EINVAL' });
});
