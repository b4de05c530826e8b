/** Level: a registration runs while it is ready, and again after it returns if it is still ready. */
import { EPOLLIN, EPOLLRDHUP } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, pipe, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';

test.each([1, 2, 4])('a handler that reads a part of it runs until nothing is left (%i threads)', async threads => {
  const cells = new Cells();
  const { service, failures } = await start({ threads, handler: STEERED, handlerData: cells.data(10) });
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(100));
  await service.register(a, { events: EPOLLIN, data: 0 });
  await until(() => cells.bytes(0) === 100, 'all of it');
  await quiet();
  // Ten runs that read ten bytes each; the eleventh would have nothing to be ready for.
  expect({ runs: cells.runs(0), failures }).toEqual({ runs: 10, failures: [] });
});

test('a pipe, read a byte at a time', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data(1) });
  const { readable, writable } = pipe();
  await service.register(readable, { events: EPOLLIN, data: 0 });
  for (let i = 0; i < 20; i++) {
    sys.write(writable, Buffer.alloc(5));
    await until(() => cells.bytes(0) === 5 * (i + 1), 'all of it');
  }
  await quiet();
  expect(cells.runs(0)).toBe(100);
});

test('a handler that reads nothing runs over and over', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 0 });
  await until(() => cells.runs(0) > 1000, 'many runs');
  // Until it is not ready any more.
  sys.read(fd, new Uint8Array(8));
  await quiet();
  const runs = cells.runs(0);
  await quiet();
  expect(cells.runs(0)).toBe(runs);
  signal(fd);
  await until(() => cells.runs(0) > runs + 1000, 'many more runs');
});

test('what was ready before it was registered runs', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data() });
  await service.register(eventfd(1), { events: EPOLLIN, data: 0 });
  await until(() => cells.ends(0) === 1, 'a run');
  await quiet();
  expect(cells.runs(0)).toBe(1);
});

test('a short read is not the end: each read takes one of several values', async () => {
  // A semaphore of a kind: a timer's expiries, of which each read takes all; and a stream in messages of one byte.
  const handler = module(`
    const buffer = new Uint8Array(64);
    export default ready => { ready.post(ready.read(buffer)); };
  `);
  const { service, messages } = await start({ handler });
  const [a, b] = socketpair();
  await service.register(a, { events: EPOLLIN });
  for (let i = 1; i <= 50; i++) {
    sys.write(b, Buffer.alloc(1));
    await until(() => messages.length === i, `message ${i}`);
  }
  expect(messages).toEqual(Array.from({ length: 50 }, () => 1));
});

test.each([EPOLLIN, EPOLLIN | EPOLLRDHUP])(
  'the end of a stream comes even with its last bytes (mask %i)',
  async events => {
    const handler = module(`
    const buffer = new Uint8Array(64);
    export default ready => {
      const n = ready.read(buffer);
      ready.post([ready.fd, n]);
      if (n === 0) ready.close();
    };
  `);
    const { service, messages, failures } = await start({ handler });
    for (let i = 0; i < 100; i++) {
      const [a, b] = sys.socketpair();
      sys.write(b, Buffer.from('last'));
      sys.close(b);
      await service.register(a, { events });
      await until(() => messages.length === 2, 'the bytes and the end');
      expect(messages.splice(0)).toEqual([
        [a, 4],
        [a, 0],
      ]);
    }
    await until(() => service.stats().registrations === 0, 'that all are closed');
    expect(failures).toEqual([]);
  },
);

test('a read that found nothing is remembered only until something comes', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('all') });
  const [a, b] = socketpair();
  await service.register(a, { events: EPOLLIN, data: 0 });
  for (let i = 1; i <= 200; i++) {
    sys.write(b, Buffer.alloc(3));
    await until(() => cells.bytes(0) === 3 * i, `write ${i}`, 5000);
  }
});

test('a registration that is always ready keeps no other from its turn', async () => {
  const cells = new Cells();
  const { service } = await start({ threads: 1, handler: STEERED, handlerData: cells.data('none') });
  for (let i = 0; i < 3; i++) await service.register(eventfd(1), { events: EPOLLIN, data: i });
  for (let i = 0; i < 3; i++) await until(() => cells.runs(i) > 100, `runs of ${i}`);
  await service.register(eventfd(1), { events: EPOLLIN, data: 3 });
  await until(() => cells.runs(3) > 100, 'runs of one that came later');
});
