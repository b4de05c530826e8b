/** `for await (const event of service)`: a registration rests from its event until the next is asked for. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { drain, eventfd, signal, socketpair } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { module, pause, quiet, start, total, until } from './support/service.ts';
import { rejection, thrown, within } from './support/within.ts';

const INVALID_STATE = { code: 'ERR_INVALID_STATE' };

test('events as they come', { tags: ['slow'] }, async () => {
  const { service } = await start();
  const fds = [eventfd(1), eventfd(1), eventfd(0)];
  for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN, data });
  const seen: bigint[] = [];
  for await (const { fd, events, data } of service) {
    expect([events, drain(fd)]).toEqual([EPOLLIN, 1]);
    seen.push(data);
    if (seen.length === 2) signal(fds[2] ?? -1);
    if (seen.length === 3) break;
  }
  expect(seen.slice(0, 2).sort()).toEqual([0n, 1n]);
  expect(seen[2]).toBe(2n);
});

test('break, then another loop: nothing is lost, level and edge', async () => {
  const { service } = await start();
  const fds = Array.from({ length: 30 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN | EPOLLET });
  const seen = new Set<number>();
  while (seen.size < 30) {
    let taken = 0;
    for await (const { fd } of service) {
      seen.add(fd);
      if (++taken === 7 || seen.size === 30) break;
    }
  }
  // Each is counted just after it was published.
  await until(() => total(service, 'handled') >= 30, 'the last to be counted');
  expect(total(service, 'handled')).toBe(30);
});

test('a level fd that is not drained comes again, in the next round', async () => {
  const { service } = await start();
  const [a, b] = [eventfd(1), eventfd(1)];
  await service.register(a, { events: EPOLLIN });
  await service.register(b, { events: EPOLLIN });
  const counts = new Map([
    [a, 0],
    [b, 0],
  ]);
  for await (const { fd } of service) {
    counts.set(fd, (counts.get(fd) ?? 0) + 1);
    if ([...counts.values()].every(count => count >= 20)) break;
  }
});

test('edges while the event is with the consumer are one more', { tags: ['slow'] }, async () => {
  const { service } = await start();
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  let count = 0;
  for await (const _event of service) {
    if (++count === 2) break;
    for (let i = 1; i <= 3; i++) {
      signal(fd);
      await until(() => total(service, 'contended') === i, 'the edge');
    }
  }
  await quiet();
  let more = 0;
  service.on('event', () => more++);
  await quiet();
  expect(more).toBe(0);
});

test('the body can unregister its own fd, and close the service', async () => {
  const { service } = await start();
  for (let i = 0; i < 5; i++) await service.register(eventfd(1), { events: EPOLLIN });
  let count = 0;
  for await (const { fd } of service) {
    await within(service.unregister(fd));
    if (++count === 5) await within(service.close());
  }
  expect(count).toBe(5);
});

test('a oneshot rests after its event until modify()', async () => {
  const { service } = await start();
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN | EPOLLONESHOT });
  let count = 0;
  for await (const _event of service) {
    if (++count === 3) break;
    setTimeout(() => service.modify(fd, { events: EPOLLIN | EPOLLONESHOT }), 20);
  }
  expect(count).toBe(3);
});

test('it ends when the service is closed, whether it waits or not', async () => {
  const { service } = await start();
  const waiting = service[Symbol.asyncIterator]();
  const next = waiting.next();
  await service.close();
  expect(await within(next)).toEqual({ value: undefined, done: true });
  expect(await within(waiting.next())).toEqual({ value: undefined, done: true });
  for await (const event of service) expect(event).toBe('none');
});

test('timers run while it is busy', async () => {
  const { service } = await start();
  for (let i = 0; i < 10; i++) await service.register(eventfd(1), { events: EPOLLIN });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const until10 = performance.now() + 10_000;
  for await (const _event of service) if (ticks > 20 || performance.now() > until10) break;
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(20);
});

test('timers and I/O have their turns though a thousand events are at hand', async () => {
  const { service } = await start({ threads: 1 });
  const fds = Array.from({ length: 1000 }, () => eventfd(1));
  await Promise.all(fds.map(fd => service.register(fd, { events: EPOLLIN | EPOLLET })));
  await until(() => total(service, 'handled') === 1000, 'all events');
  let turns = 0;
  let going = true;
  setImmediate(function turn() {
    turns++;
    if (going) setImmediate(turn);
  });
  let count = 0;
  for await (const _event of service) if (++count === 1000) break;
  going = false;
  expect(turns).toBeGreaterThan(10);
});

test('several next() at once are answered in order', async () => {
  const { service } = await start();
  const iterator = service[Symbol.asyncIterator]();
  const asked = [iterator.next(), iterator.next(), iterator.next()];
  for (let data = 0; data < 3; data++) {
    await service.register(eventfd(1), { events: EPOLLIN | EPOLLET, data });
    expect(await within(asked[data] ?? iterator.next())).toMatchObject({ done: false, value: { data: BigInt(data) } });
  }
  await iterator.return?.();
  expect(await iterator.next()).toEqual({ value: undefined, done: true });
});

test('one consumer at a time', async () => {
  const { service } = await start();
  const listener = (): void => {};
  service.on('event', listener);
  expect(thrown(() => service[Symbol.asyncIterator]())).toMatchObject(INVALID_STATE);
  const loop = async (): Promise<void> => {
    for await (const _event of service);
  };
  expect(await rejection(loop())).toMatchObject(INVALID_STATE);
  service.off('event', listener);
  const iterator = service[Symbol.asyncIterator]();
  expect(await rejection(loop())).toMatchObject(INVALID_STATE);
  for (const method of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'] as const) {
    expect(thrown(() => service[method]('event', listener))).toMatchObject(INVALID_STATE);
  }
  expect(service.listenerCount('event')).toBe(0);
  service.on('message', listener); // other listeners are no consumers
  await iterator.return?.();
  service.on('event', listener);
});

test('a loop that is left by a throw leaves the service free', async () => {
  const { service } = await start();
  await service.register(eventfd(1), { events: EPOLLIN });
  const loop = async (): Promise<void> => {
    for await (const _event of service) throw new Error('of the body');
  };
  expect(await rejection(loop())).toMatchObject({ message: 'of the body' });
  expect(await rejection(loop())).toMatchObject({ message: 'of the body' });
});

// What becomes ready while a loop runs, it fetches itself, several events at a time.

test.each([1, 4])(
  '%i threads are not woken for events that the loop finds itself',
  { tags: ['slow'] },
  async threads => {
    const source = `
    import { readdirSync, readFileSync } from 'node:fs';
    const EVENTS = 40_000;
    const switches = () => readdirSync('/proc/self/task').filter(id => Number(id) !== process.pid).reduce((sum, id) =>
      sum + Number(/^voluntary_ctxt_switches:\\s+(\\d+)/m.exec(readFileSync('/proc/self/task/' + id + '/status', 'latin1'))[1]), 0);
    const service = await lib.WaitService.start({ threads: ${threads} });
    const fds = Array.from({ length: 50 }, () => sys.eventfd());
    const one = new BigUint64Array([1n]), count = new BigUint64Array(1);
    for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN | EPOLLET, data });
    await new Promise(resolve => setTimeout(resolve, 50));
    const before = switches();
    sys.write(fds[0], one);
    let events = 0;
    // Each event makes the next fd ready: there is something until the last.
    for await (const { fd, data } of service) {
      sys.read(fd, count);
      if (++events === EVENTS) break;
      sys.write(fds[(Number(data) + 1) % fds.length], one);
    }
    const each = (switches() - before) / EVENTS;
    process.stdout.write(each < 0.1 ? 'few' : 'many: ' + each + ' for each event');
    service.close();
  `;
    expect(await run(source)).toEqual(ended('few'));
  },
);

test.each([
  ['level', EPOLLIN],
  ['edge', EPOLLIN | EPOLLET],
  ['oneshot', EPOLLIN | EPOLLONESHOT],
])('%s: what a loop has fetched when it is left is the next one’s, once', async (mode, events) => {
  const { service } = await start({ threads: 1 });
  const fds = Array.from({ length: 40 }, () => eventfd());
  await Promise.all(fds.map(fd => service.register(fd, { events })));
  const [first = -1, ...others] = fds;
  const counts = new Map(fds.map(fd => [fd, 0]));
  signal(first);
  let left = fds.length;
  for (let stay = 3; left > 0; stay = 5) {
    for await (const { fd } of service) {
      counts.set(fd, (counts.get(fd) ?? 0) + 1);
      drain(fd);
      // Now the main thread is awake.
      if (fd === first) for (const other of others) signal(other);
      if (--left === 0 || --stay === 0) break;
    }
  }
  expect([...new Set(counts.values())]).toEqual([1]);
  let more = 0;
  service.on('event', ({ fd }) => {
    if (mode !== 'level' || sys.read(fd, new Uint8Array(8)) > 0) more++;
  });
  await quiet();
  expect(more).toBe(0);
});

test('unregister() and modify() while the body is at it: of what was fetched with it, too', async () => {
  const { service } = await start({ threads: 1 });
  const starter = eventfd();
  const gone = eventfd();
  const [end, other] = socketpair();
  sys.write(other, Buffer.alloc(1));
  const oneshot = (events: number): { events: number; data: number } => ({ events: events | EPOLLONESHOT, data: 2 });
  const readable = { events: EPOLLIN, data: 1 };
  await service.register(starter, { events: EPOLLIN, data: 0 });
  await service.register(gone, readable);
  await service.register(end, { events: EPOLLONESHOT, data: 2 });
  const marker = eventfd();
  await service.register(marker, { events: EPOLLIN, data: 3 });
  signal(starter);
  let rounds = 0;
  let stale = 0;
  let registeredAnew = false;
  for await (const { fd, events, data } of service) {
    if (data === 0n) {
      // Ready in this order, and fetched together by the main thread, which is awake; unless the thread has been faster.
      drain(fd);
      registeredAnew = false;
      signal(marker);
      signal(gone);
      await service.modify(end, oneshot(EPOLLIN));
    } else if (data === 3n) {
      drain(fd);
      await within(service.unregister(gone));
      drain(gone);
      await service.register(gone, readable);
      registeredAnew = true;
      await within(service.modify(end, oneshot(EPOLLOUT)));
    } else if (data === 1n) {
      drain(fd);
      if (registeredAnew) stale++;
    } else if (events === EPOLLOUT) {
      if (++rounds === 20) break;
      signal(starter);
    }
  }
  expect(stale).toBe(0);
});

test('a body that awaits while others are ready has each event once', async () => {
  const { service } = await start();
  const fds = Array.from({ length: 8 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN | EPOLLET });
  const seen: number[] = [];
  for await (const { fd } of service) {
    seen.push(fd);
    await pause(30);
    if (seen.length === fds.length) break;
  }
  expect(new Set(seen).size).toBe(fds.length);
});

test('with a handler there is nothing to iterate', async () => {
  const { service } = await start({ handler: module('export default () => {};') });
  expect(thrown(() => service[Symbol.asyncIterator]())).toMatchObject(INVALID_STATE);
  await pause(0);
});
