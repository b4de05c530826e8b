/** Without a handler, events go to 'event' listeners of the main thread; they wait until somebody listens. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { EPOLLET, EPOLLIN, EPOLLONESHOT, type ServiceEvent } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test, vi } from 'vitest';
import { drain, eventfd, signal, socketpair } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { quiet, start, total, until } from './support/service.ts';
import { within } from './support/within.ts';

test('level: an event until nothing is left', async () => {
  const { service } = await start();
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(100));
  const events: ServiceEvent[] = [];
  let left = 100;
  service.on('event', event => {
    events.push(event);
    left -= sys.read(event.fd, Buffer.alloc(10));
  });
  await service.register(a, { events: EPOLLIN, data: 2n ** 64n - 1n });
  await until(() => left === 0, 'all of it');
  await quiet();
  expect(events).toEqual(Array(10).fill({ fd: a, id: events[0]?.id, events: EPOLLIN, data: 2n ** 64n - 1n }));
});

test('edge: an event per edge, drained or not; edges while it is with the listener are one more', async () => {
  const { service } = await start({ threads: 3 });
  const fd = eventfd(0);
  let count = 0;
  service.on('event', () => {
    if (++count !== 3) return;
    // Blocks this thread: the edges are met by the others.
    for (let i = 1; i <= 3; i++) {
      const before = total(service, 'contended');
      signal(fd);
      const limit = performance.now() + 5000;
      while (total(service, 'contended') === before && performance.now() < limit);
    }
  });
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  for (let i = 1; i <= 2; i++) {
    signal(fd);
    await until(() => count === i, `edge ${i}`);
  }
  signal(fd);
  await until(() => count === 4, 'the edge after');
  await quiet();
  expect(count).toBe(4);
});

test('oneshot: one, then rest until modify()', { tags: ['slow'] }, async () => {
  const { service } = await start();
  const fd = eventfd(1);
  const seen: bigint[] = [];
  service.on('event', ({ data }) => seen.push(data));
  await service.register(fd, { events: EPOLLIN | EPOLLONESHOT, data: 0 });
  for (let i = 1; i <= 5; i++) {
    await until(() => seen.length === i, `event ${i}`);
    signal(fd);
    await quiet();
    expect(seen).toHaveLength(i);
    await service.modify(fd, { events: EPOLLIN | EPOLLONESHOT, data: i });
  }
  await until(() => seen.length === 6, 'the last');
  expect(seen).toEqual([0n, 1n, 2n, 3n, 4n, 5n]);
});

test('modify() of a oneshot in its own listener is one more event', async () => {
  const { service } = await start();
  const fd = eventfd(1);
  let count = 0;
  service.on('event', () => {
    if (++count < 10) service.modify(fd, { events: EPOLLIN | EPOLLONESHOT });
  });
  await service.register(fd, { events: EPOLLIN | EPOLLONESHOT });
  await until(() => count === 10, 'ten events');
  await quiet();
  expect(count).toBe(10);
});

test('modify() to another interest while an event waits for a listener', async () => {
  const { service } = await start();
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(1));
  await service.register(a, { events: EPOLLIN | EPOLLONESHOT, data: 1 });
  await until(() => total(service, 'handled') === 1, 'the event');
  await service.modify(a, { events: 4 /* EPOLLOUT */ | EPOLLONESHOT, data: 2 });
  const [event] = await within(once(service, 'event'));
  expect(event).toEqual({ fd: a, id: expect.any(Number), events: 4, data: 2n });
});

test('events wait until somebody listens', async () => {
  const { service } = await start();
  const fds = Array.from({ length: 20 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN | EPOLLET });
  await quiet();
  const seen = new Set<number>();
  service.on('event', ({ fd }) => seen.add(fd));
  await until(() => seen.size === 20, 'all of them');
});

test.each(['once', 'prependOnceListener'] as const)('%s takes one and leaves the rest', async method => {
  const { service } = await start();
  const fds = Array.from({ length: 10 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN | EPOLLET });
  const seen: number[] = [];
  for (let i = 1; i <= 10; i++) {
    service[method]('event', ({ fd }: ServiceEvent) => seen.push(fd));
    await until(() => seen.length === i, `event ${i}`);
    await new Promise(setImmediate);
    expect(seen).toHaveLength(i);
  }
  expect(seen.sort((a, b) => a - b)).toEqual(fds);
});

test('removing the listener stops the delivery and loses nothing', async () => {
  const { service } = await start();
  const fds = Array.from({ length: 50 }, () => eventfd(1));
  const seen: number[] = [];
  const first = ({ fd }: ServiceEvent): void => {
    seen.push(fd);
    if (seen.length === 20) service.off('event', first);
  };
  service.on('event', first);
  for (const fd of fds) await service.register(fd, { events: EPOLLIN | EPOLLET });
  await until(() => seen.length === 20, 'twenty');
  await quiet();
  expect(seen).toHaveLength(20);
  service.addListener('event', ({ fd }) => seen.push(fd));
  await until(() => seen.length === 50, 'the rest');
  expect(new Set(seen).size).toBe(50);
});

test('several listeners see each event', async () => {
  const { service } = await start();
  const seen: string[] = [];
  service.on('event', ({ fd }) => {
    seen.push('second');
    drain(fd);
  });
  service.prependListener('event', () => seen.push('first'));
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => seen.length === 2, 'the event');
  expect(seen).toEqual(['first', 'second']);
});

test('what a listener throws is an uncaught exception: the process ends by default', async () => {
  const source = `
    const service = await lib.WaitService.start({ threads: 2 });
    service.on('event', () => { throw new Error('of the listener'); });
    await service.register(sys.eventfd(1), { events: EPOLLIN });
  `;
  const result = await run(source);
  expect(result).toMatchObject({ code: 1, signal: null });
  expect(result.stderr).toMatch(/of the listener/);
});

test('if the process goes on, so does the service: that registration, and the others', async () => {
  const source = `
    const service = await lib.WaitService.start({ threads: 2 });
    let uncaught = 0, events = 0;
    process.on('uncaughtException', () => { uncaught++; });
    service.on('event', ({ fd }) => {
      events++;
      if (events % 3 === 0) throw new Error('x');
      sys.read(fd, new Uint8Array(8));
    });
    const fds = Array.from({ length: 100 }, () => sys.eventfd(1));
    for (const fd of fds) await service.register(fd, { events: EPOLLIN });
    setTimeout(function look() {
      if (events < 100 + uncaught || fds.some(fd => sys.read(fd, new Uint8Array(8)) > 0)) return setTimeout(look, 5);
      console.log(events - uncaught, uncaught > 30);
      service.close();
    }, 100);
  `;
  expect(await run(source)).toEqual(ended('100 true\n'));
});

test('unregister() in a listener resolves, and is the last of it', async () => {
  const { service } = await start();
  const fd = eventfd(1);
  let count = 0;
  let resolved = false;
  service.on('event', async event => {
    count++;
    signal(fd);
    await service.unregister(event.fd);
    resolved = true;
  });
  await service.register(fd, { events: EPOLLIN });
  await until(() => resolved, 'its resolution');
  await quiet();
  expect(count).toBe(1);
});

test('no event comes after close() was called', async () => {
  const { service } = await start();
  for (let i = 0; i < 20; i++) await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => total(service, 'handled') === 20, 'the events');
  let count = 0;
  service.on('event', () => count++);
  await within(service.close());
  await quiet();
  expect(count).toBe(0);
});

test('fake timers do not stop the service', async () => {
  vi.useFakeTimers();
  try {
    const { service } = await start({ threads: 1 });
    const fd = eventfd(1);
    await service.register(fd, { events: EPOLLIN | EPOLLET });
    for (let i = 0; total(service, 'handled') === 0 && i < 5000; i++) await sleep(2);
    const [event] = await once(service, 'event');
    expect(event).toEqual({ fd, id: expect.any(Number), events: EPOLLIN, data: BigInt(fd) });
    await service.close();
  } finally {
    vi.useRealTimers();
  }
});
