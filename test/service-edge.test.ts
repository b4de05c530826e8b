/** EPOLLET: one run per edge; edges that come during a run cost one more run. */
import { EPOLLET, EPOLLIN, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, pipe, signal, socketpair } from './support/fds.ts';
import { quiet, start, total, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';

test('each edge is a run, whether anything was read or not', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const { readable, writable } = pipe();
  await service.register(readable, { events: EPOLLIN | EPOLLET, data: 0 });
  for (let i = 1; i <= 20; i++) {
    sys.write(writable, Buffer.alloc(1));
    await until(() => cells.ends(0) === i, `run ${i}`);
  }
  await quiet();
  expect(cells.runs(0)).toBe(20);
});

test('what stays unread is no new edge', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data(10) });
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(100));
  await service.register(a, { events: EPOLLIN | EPOLLET, data: 0 });
  await until(() => cells.ends(0) === 1, 'a run');
  await quiet();
  expect({ runs: cells.runs(0), bytes: cells.bytes(0) }).toEqual({ runs: 1, bytes: 10 });
});

test.each([1, 2, 4])('edges during a run cost one more run, however many (%i threads)', async threads => {
  const cells = new Cells();
  const { service } = await start({ threads, handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(0);
  cells.shut(0);
  await service.register(fd, { events: EPOLLIN | EPOLLET, data: 0 });
  signal(fd);
  await until(() => cells.runs(0) === 1, 'the first run');
  for (let i = 1; i <= 5; i++) {
    signal(fd);
    // Another thread, if there is one, has met the edge before the next comes.
    if (threads > 1) await until(() => total(service, 'contended') === i, `edge ${i}`);
  }
  expect(cells.runs(0)).toBe(1); // never beside the first
  cells.open(0);
  await until(() => cells.ends(0) === 2, 'the second run');
  await quiet();
  expect({ runs: cells.runs(0), overlaps: cells.overlaps(0) }).toEqual({ runs: 2, overlaps: 0 });
});

test('edges of different kinds during a run come together', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const [a, b] = socketpair();
  cells.shut(0);
  await service.register(a, { events: EPOLLIN | EPOLLOUT | EPOLLET, data: 0 });
  await until(() => cells.runs(0) === 1, 'the first run');
  expect(cells.mask(0)).toBe(EPOLLOUT);
  sys.write(b, Buffer.alloc(1));
  await until(() => total(service, 'contended') === 1, 'the edge');
  cells.open(0);
  await until(() => cells.ends(0) === 2, 'the second run');
  expect(cells.mask(0)).toBe(EPOLLIN | EPOLLOUT);
});

test('many registrations: as many runs as edges', async () => {
  const cells = new Cells(100);
  const { service } = await start({ threads: 4, handler: STEERED, handlerData: cells.data('all') });
  const fds = Array.from({ length: 100 }, () => eventfd(0));
  await Promise.all(fds.map((fd, data) => service.register(fd, { events: EPOLLIN | EPOLLET, data })));
  for (let round = 1; round <= 10; round++) {
    for (const fd of fds) signal(fd);
    await until(() => fds.every((_, i) => cells.ends(i) === round), `round ${round}`);
  }
  expect(total(service, 'handled')).toBe(1000);
});
