/** for await over an instance. */
import { EPOLLET, EPOLLIN, EPOLLOUT, Epoll, type Event, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { owned, rejection, within } from './support/within.ts';

/** Registers `count` eventfds that are ready once each, with data 0, 1, 2 … */
function once(epoll: Epoll, count: number, from = 0): void {
  for (let i = from; i < from + count; i++) epoll.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: i });
}

/** The data of the next `count` events. */
async function take(epoll: AsyncIterable<Event>, count: number): Promise<number[]> {
  const data: number[] = [];
  for await (const event of epoll) if (data.push(Number(event.data)) === count) break;
  return data;
}

test('events come as they are, mask and data, those ready and those still to come', async () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  epoll.register(fd, { events: EPOLLIN | EPOLLOUT | EPOLLET, data: 2n ** 64n - 1n });
  const seen: Event[] = [];
  for await (const event of epoll) {
    seen.push(event);
    if (seen.length === 2) break;
    setImmediate(signal, fd);
  }
  expect(seen).toEqual([
    { events: EPOLLOUT, data: 2n ** 64n - 1n },
    { events: EPOLLIN | EPOLLOUT, data: 2n ** 64n - 1n },
  ]);
});

test('in the order of the kernel, beyond one batch', async () => {
  const epoll = owned(new Epoll());
  once(epoll, 600);
  expect(await within(take(epoll, 600))).toEqual(Array.from({ length: 600 }, (_, i) => i));
});

test('it ends when the instance is closed: from the loop, and while it waits', async () => {
  const inside = owned(new Epoll());
  once(inside, 3);
  let n = 0;
  for await (const _ of inside) {
    n++;
    inside.close();
  }
  expect(n).toBe(1);
  const waiting = new Epoll();
  setTimeout(() => waiting.close(), 20);
  for await (const _ of waiting) throw new Error('an event from nowhere');
  expect(waiting.closed).toBe(true);
});

test('a loop left early loses nothing: the next one yields the rest first', async () => {
  const epoll = owned(new Epoll());
  once(epoll, 10);
  expect(await take(epoll, 1)).toEqual([0]);
  expect(await take(epoll, 3)).toEqual([1, 2, 3]);
  once(epoll, 5, 10);
  expect(await within(take(epoll, 11))).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect(epoll.wait(new Events(1), 0)).toBe(0);
});

test('a loop left by a throw loses nothing either', async () => {
  const epoll = owned(new Epoll());
  once(epoll, 4);
  const own = new Error('of the body');
  const loop = async (): Promise<void> => {
    for await (const event of epoll) if (event.data === 1n) throw own;
  };
  expect(await rejection(loop())).toBe(own);
  expect(await take(epoll, 2)).toEqual([2, 3]);
});

test('iterations beside one another share the events, each to exactly one', async () => {
  const epoll = owned(new Epoll());
  const seen: number[] = [];
  const loop = async (): Promise<number> => {
    let n = 0;
    for await (const event of epoll) {
      n++;
      seen.push(Number(event.data));
      await new Promise(setImmediate);
      if (seen.length === 400) epoll.close();
    }
    return n;
  };
  const loops = [loop(), loop(), loop()];
  for (let i = 0; i < 400; i += 20) {
    once(epoll, 20, i);
    await new Promise(setImmediate);
  }
  const shares = await within(Promise.all(loops));
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, i) => i));
  expect(Math.min(...shares)).toBeGreaterThan(0);
});

test('several next() of one iterator are answered one event each; return() ends it', async () => {
  const epoll = owned(new Epoll());
  const iterator = epoll[Symbol.asyncIterator]();
  expect(iterator[Symbol.asyncIterator]()).toBe(iterator);
  const nexts = [iterator.next(), iterator.next(), iterator.next()];
  once(epoll, 3);
  const results = await within(Promise.all(nexts));
  expect(results.map(r => r.value?.data).sort()).toEqual([0n, 1n, 2n]);
  expect(await iterator.return?.()).toEqual({ value: undefined, done: true });
  once(epoll, 1, 3);
  expect(await within(iterator.next())).toEqual({ value: undefined, done: true });
  expect(await take(epoll, 1)).toEqual([3]);
});

test('return() ends a next() that waits, and neither takes from another loop nor holds the process', async () => {
  const epoll = owned(new Epoll());
  once(epoll, 1);
  expect(await take(epoll, 1)).toEqual([0]); // what was yielded before is not yielded again
  const [left, other] = [epoll[Symbol.asyncIterator](), epoll[Symbol.asyncIterator]()];
  const leaving = left.next();
  const going = other.next();
  await left.return?.();
  expect(await within(leaving)).toEqual({ value: undefined, done: true });
  once(epoll, 1, 1);
  expect(await within(going)).toMatchObject({ value: { data: 1n }, done: false });

  const source = `
    const iterator = new Epoll()[Symbol.asyncIterator]();
    iterator.next().then(result => console.log(result.done));
    await iterator.return();
  `;
  expect(await run(source)).toEqual(ended('true\n'));
});

test('what was fetched for a next() whose iterator has returned is the next loop’s', async () => {
  const epoll = owned(new Epoll());
  const iterator = epoll[Symbol.asyncIterator]();
  const next = iterator.next();
  await iterator.return?.();
  once(epoll, 2);
  expect(await within(next)).toEqual({ value: undefined, done: true });
  expect(await within(take(epoll, 2))).toEqual([0, 1]);
});

test('it runs beside waitAsync, each event to one of them', async () => {
  const epoll = owned(new Epoll());
  const loop = take(epoll, 1);
  const events = new Events(1);
  await new Promise(setImmediate);
  const waiting = epoll.waitAsync(events, 10_000);
  once(epoll, 1);
  expect(await within(loop)).toEqual([0]);
  once(epoll, 1, 1);
  expect(await waiting).toBe(1);
  expect(events.dataAt(0)).toBe(1n);
});

test('with a wait between loops: each is given an event, in the order asked', async () => {
  const epoll = owned(new Epoll());
  const fds = [eventfd(), eventfd(), eventfd()];
  for (const [i, fd] of fds.entries()) epoll.register(fd, { events: EPOLLIN | EPOLLET, data: i });
  const events = new Events(1);
  const first = take(epoll, 1);
  const waiting = epoll.waitAsync(events, 10_000);
  const last = take(epoll, 1);
  await new Promise(setImmediate);
  for (const fd of fds) signal(fd);
  expect(await within(Promise.all([first, waiting, last]))).toEqual([[0], 1, [2]]);
  expect(events.dataAt(0)).toBe(1n);
});

test('a wait that nothing comes for keeps no loop behind it from what is fetched already', async () => {
  const epoll = owned(new Epoll());
  const fds = [eventfd(), eventfd(), eventfd()];
  for (const [i, fd] of fds.entries()) epoll.register(fd, { events: EPOLLIN | EPOLLET, data: i });
  const [first, second] = [take(epoll, 1), take(epoll, 1)];
  await new Promise(setImmediate);
  for (const fd of fds) signal(fd);
  await first; // all three are fetched; the second is behind it still
  const waiting = epoll.waitAsync(new Events(1), 10_000);
  const third = take(epoll, 1);
  expect(await within(Promise.all([second, third]))).toEqual([[1], [2]]);
  signal(fds[0] ?? -1);
  expect(await within(waiting)).toBe(1);
});

test('an instance closed behind its back: the loop rejects, and shows no event twice', async () => {
  const epoll = new Epoll();
  once(epoll, 2);
  const seen: number[] = [];
  const loop = async (): Promise<void> => {
    for await (const event of epoll) if (seen.push(Number(event.data)) === 2) sys.close(epoll.fd);
  };
  expect(await rejection(loop())).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  expect(await rejection(loop())).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  expect(seen).toEqual([0, 1]);
});

test('a borrower’s loop rejects when the owner closes, and shows no event twice', async () => {
  const owner = new Epoll();
  once(owner, 2);
  const borrowed = owned(Epoll.borrow(owner.fd));
  const seen: number[] = [];
  const loop = async (): Promise<void> => {
    for await (const event of borrowed) seen.push(Number(event.data));
  };
  const first = rejection(loop());
  setTimeout(() => owner.close(), 20);
  expect(await first).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  expect(await rejection(loop())).toMatchObject({ name: 'EpollError', code: 'EBADF' });
  expect(seen).toEqual([0, 1]);
});

test('timers run while the fds are always ready', async () => {
  const epoll = owned(new Epoll());
  for (let i = 0; i < 10; i++) epoll.register(eventfd(1), { events: EPOLLIN });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const end = performance.now() + 10_000;
  for await (const _ of epoll) if (ticks >= 10 || performance.now() > end) break;
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(10);
});

test('the event loop has its turns while a slow body is given what was fetched at once', async () => {
  const epoll = owned(new Epoll());
  once(epoll, 50);
  let turns = 0;
  let going = true;
  const turn = (): void => {
    turns++;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  let n = 0;
  for await (const _ of epoll) {
    const end = performance.now() + 3;
    while (performance.now() < end);
    if (++n === 50) break;
  }
  going = false;
  expect(turns).toBeGreaterThanOrEqual(15);
});
