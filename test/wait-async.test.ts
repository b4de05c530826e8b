/** waitAsync(): events, time-outs, order, close, and a loop that stays alive to other work. */
import { EPOLLET, EPOLLIN, Epoll, EpollError, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { closing, countFds, countThreads, drain, eventfd, signal } from './support/fds.ts';
import { owned, rejection, within } from './support/within.ts';

test('what is ready comes at once; what comes later, later', async () => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  epoll.register(fd, { events: EPOLLIN, data: 7n });
  const events = new Events(4);
  expect(await epoll.waitAsync(events)).toBe(1);
  expect([...events]).toEqual([{ events: EPOLLIN, data: 7n }]);
  drain(fd);
  for (let i = 0; i < 50; i++) {
    const waiting = epoll.waitAsync(events, 10_000);
    if (i % 2) setImmediate(signal, fd);
    else signal(fd);
    expect(await waiting).toBe(1);
    expect(events.length).toBe(1);
    drain(fd);
  }
});

test('it uses no thread, and one fd however many wait', async () => {
  const warm = owned(new Epoll());
  await warm.waitAsync(new Events(1), 1);
  const before = { threads: countThreads(), fds: countFds() };
  const waits = Array.from({ length: 50 }, () => {
    const epoll = owned(new Epoll());
    return epoll.waitAsync(new Events(1), 50);
  });
  expect(countThreads()).toBeLessThanOrEqual(before.threads);
  expect(countFds() - 50).toBe(before.fds);
  expect(await Promise.all(waits)).toEqual(waits.map(() => 0));
});

test.each([0.3, 1, 7.7, 50, 200])('a time-out of %d ms is never early', async timeout => {
  const epoll = owned(new Epoll());
  const events = new Events(1);
  const rounds = timeout < 50 ? 30 : 3;
  for (let i = 0; i < rounds; i++) {
    const from = performance.now();
    expect(await epoll.waitAsync(events, timeout)).toBe(0);
    const ms = performance.now() - from;
    expect(ms).toBeGreaterThanOrEqual(timeout);
    expect(ms).toBeLessThan(timeout + 1000);
  }
});

test('0 only looks', async () => {
  const epoll = owned(new Epoll());
  const events = new Events(1);
  for (let i = 0; i < 100; i++) expect(await epoll.waitAsync(events, 0)).toBe(0);
  epoll.register(eventfd(1), { events: EPOLLIN });
  for (let i = 0; i < 100; i++) expect(await epoll.waitAsync(events, 0)).toBe(1);
});

test.each([2 ** 31, 2 ** 53, Number.MAX_VALUE, Number.POSITIVE_INFINITY, -1])(
  'a time-out of %d is no short one',
  async timeout => {
    const epoll = owned(new Epoll());
    const waiting = epoll.waitAsync(new Events(1), timeout);
    expect(await Promise.race([waiting, epoll.waitAsync(new Events(1), 30).then(() => 'the short one')])).toBe(
      'the short one',
    );
    epoll.register(eventfd(1), { events: EPOLLIN });
    expect(await within(waiting)).toBe(1);
  },
);

test('several at once are served in the order asked, each event to one of them', async () => {
  const epoll = owned(new Epoll());
  const order: string[] = [];
  const wait = async (name: string, timeout = 10_000): Promise<void> => {
    const events = new Events(1);
    const n = await epoll.waitAsync(events, timeout);
    order.push(`${name}:${n === 0 ? 'none' : events.dataAt(0)}`);
  };
  const waits = [wait('a'), wait('b'), wait('c'), wait('d', 60)];
  for (const data of [1n, 2n, 3n]) epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data });
  await within(Promise.all(waits));
  expect(order).toEqual(['a:1', 'b:2', 'c:3', 'd:none']);
});

test('who comes later does not overtake those who wait', async () => {
  const epoll = owned(new Epoll());
  const first = epoll.waitAsync(new Events(1), 10_000);
  epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET });
  const late = epoll.waitAsync(new Events(1), 30);
  expect(await within(Promise.all([first, late]))).toEqual([1, 0]);
});

test('a buffer that two waits share keeps the events of the one that got them', async () => {
  const epoll = owned(new Epoll());
  const events = new Events(4);
  const first = epoll.waitAsync(events, 10_000).then(() => [...events]);
  const second = epoll.waitAsync(events, 30);
  epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: 5n });
  expect(await first).toEqual([{ events: EPOLLIN, data: 5n }]);
  expect(await second).toBe(0);
  expect(events.length).toBe(0);
});

test('close rejects all that wait with EBADF', async () => {
  const epoll = new Epoll();
  const waits = [epoll.waitAsync(new Events(1)), epoll.waitAsync(new Events(1), 60_000)];
  epoll.close();
  for (const wait of waits) {
    const error = await rejection(wait);
    expect(error).toBeInstanceOf(EpollError);
    expect(error).toMatchObject({ code: 'EBADF', syscall: 'epoll_wait' });
  }
});

test('timers run while an fd that is always ready is waited for in a loop', async () => {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(1), { events: EPOLLIN });
  const events = new Events(8);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const end = performance.now() + 10_000;
  while (ticks < 10 && performance.now() < end) expect(await epoll.waitAsync(events)).toBe(1);
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(10);
});

test.each([0, 1])('so they do when several loops of time-out %d take turns', async timeout => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const end = performance.now() + 10_000;
  const loop = async (): Promise<void> => {
    const epoll = owned(new Epoll());
    epoll.register(eventfd(1), { events: EPOLLIN });
    const events = new Events(1);
    while (ticks < 10 && performance.now() < end) await epoll.waitAsync(events, timeout);
  };
  await Promise.all([loop(), loop(), loop()]);
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(10);
});

test('a look at nothing, in a loop, leaves timers their turn as well', async () => {
  const epoll = owned(new Epoll());
  const events = new Events(1);
  let done = false;
  setTimeout(() => {
    done = true;
  }, 20);
  const end = performance.now() + 10_000;
  while (!done && performance.now() < end) await epoll.waitAsync(events, 0);
  expect(done).toBe(true);
});

test('owner and borrower of one instance on one thread both wait', async () => {
  const epoll = owned(new Epoll());
  const borrowed = owned(Epoll.borrow(epoll.fd));
  const waits = [epoll.waitAsync(new Events(1), 10_000), borrowed.waitAsync(new Events(1), 10_000)];
  epoll.register(eventfd(1), { events: EPOLLIN }); // level: both get it
  expect(await within(Promise.all(waits))).toEqual([1, 1]);
});

test('a borrower’s close ends its own wait; the owner’s ends those of its borrowers on this thread', async () => {
  const epoll = new Epoll();
  const [first, second] = [Epoll.borrow(epoll.fd), Epoll.borrow(epoll.fd)];
  const ofFirst = rejection(first.waitAsync(new Events(1)));
  const ofOwner = epoll.waitAsync(new Events(1), 10_000);
  const ofSecond = rejection(second.waitAsync(new Events(1)));
  first.close();
  expect(await ofFirst).toMatchObject({ code: 'EBADF' });
  epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET });
  expect(await ofOwner).toBe(1);
  epoll.close();
  expect(await ofSecond).toMatchObject({ code: 'EBADF' });
});

test('an owner that closes between two waits of a borrower: the second takes nothing of who has the number next', async () => {
  const owner = new Epoll();
  const fd = eventfd();
  owner.register(fd, { events: EPOLLIN | EPOLLET, data: 1 });
  const borrower = owned(Epoll.borrow(owner.fd));
  const iterator = borrower[Symbol.asyncIterator]();
  const replace = async (): Promise<Epoll> => {
    expect(await borrower.waitAsync(new Events(1), 10_000)).toBe(1);
    const number = owner.fd;
    owner.close();
    const next = owned(new Epoll());
    expect(next.fd).toBe(number);
    next.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: 2 });
    return next;
  };
  const replaced = replace();
  const refused = rejection(iterator.next());
  await new Promise(setImmediate);
  signal(fd);
  expect(await within(refused)).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  expect((await replaced).wait(new Events(1), 0)).toBe(1);
});

test('an instance whose fd is closed behind its back: EBADF, and nothing crashes', async () => {
  const epoll = new Epoll();
  const waiting = rejection(epoll.waitAsync(new Events(1), 50));
  sys.close(epoll.fd);
  expect(await waiting).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  expect(await rejection(epoll.waitAsync(new Events(1)))).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  const next = owned(new Epoll()); // has the number now
  next.register(eventfd(1), { events: EPOLLIN });
  expect(await within(next.waitAsync(new Events(1)))).toBe(1);
});

test('an fd number that another instance has after close() delivers to it alone', async () => {
  for (let i = 0; i < 20; i++) {
    const first = new Epoll();
    const dropped = rejection(first.waitAsync(new Events(1)));
    first.close();
    const second = owned(new Epoll());
    second.register(closing(sys.timerfd(1)), { events: EPOLLIN });
    expect(await within(second.waitAsync(new Events(1)))).toBe(1);
    expect(await dropped).toMatchObject({ code: 'EBADF' });
  }
});

test('it is told of what a thread registers, and beside a thread that waits', async () => {
  const epoll = owned(new Epoll());
  const waiting = epoll.waitAsync(new Events(1), 10_000);
  Epoll.borrow(epoll.fd).register(eventfd(1), { events: EPOLLIN });
  expect(await waiting).toBe(1);
});
