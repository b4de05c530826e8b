/** An fd closed behind the service's back, and its number used again, never delivers to the old registration. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { closing, eventfd, signal } from './support/fds.ts';
import { quiet, start, total, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { rejection } from './support/within.ts';

const MODES = { level: EPOLLIN, edge: (EPOLLIN | EPOLLET) >>> 0, oneshot: EPOLLIN | EPOLLONESHOT };

/** Closes the fd and makes another eventfd, which has its number. */
function replace(fd: number, initial = 0): number {
  sys.close(fd);
  const again = sys.eventfd(initial);
  expect(again).toBe(fd);
  return closing(again);
}

test.each(Object.entries(MODES))('%s: the number alone is nothing to the service', async (_mode, events) => {
  const cells = new Cells();
  const { service, failures } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = sys.eventfd(0);
  await service.register(fd, { events, data: 0 });
  replace(fd, 1);
  signal(fd);
  await quiet();
  expect({ runs: cells.runs(0), failures }).toEqual({ runs: 0, failures: [] });
});

test.each(Object.entries(MODES))('%s: the number registered again is another registration', async (_mode, events) => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('all') });
  for (let i = 0; i < 50; i++) {
    const fd = sys.eventfd(0);
    await service.register(fd, { events, data: 0 });
    replace(fd, 1);
    await service.register(fd, { events, data: i + 1 });
    await until(() => cells.ends(i + 1) === 1, `run ${i}`);
    await service.unregister(fd);
  }
  expect(cells.runs(0)).toBe(0);
  expect(service.stats().registrations).toBe(0);
});

test('a level registration that was running when its fd was closed and replaced by one that is ready', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = sys.eventfd(1);
  cells.shut(0);
  await service.register(fd, { events: EPOLLIN, data: 0 });
  await until(() => cells.runs(0) === 1, 'a run');
  replace(fd, 1);
  cells.open(0);
  await until(() => cells.ends(0) === 1, 'its return');
  await quiet();
  expect(cells.runs(0)).toBe(1); // level would run on if the number were asked
});

test('the same, registered again while the old one runs', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = sys.eventfd(1);
  cells.shut(0);
  await service.register(fd, { events: EPOLLIN, data: 0 });
  await until(() => cells.runs(0) === 1, 'a run');
  replace(fd, 1);
  await service.register(fd, { events: EPOLLIN | EPOLLET, data: 1 });
  await until(() => cells.ends(1) === 1, 'a run of the new one'); // beside the old: another registration
  cells.open(0);
  await until(() => cells.ends(0) === 1, 'its return');
  await quiet();
  expect([cells.runs(0), cells.runs(1)]).toEqual([1, 1]);
  await service.unregister(fd);
  expect(service.stats().registrations).toBe(0);
});

test('modify() and unregister() of a number in use again: ENOENT, and the old registration is gone', async () => {
  const { service } = await start();
  for (const method of ['modify', 'unregister'] as const) {
    const fd = sys.eventfd(0);
    await service.register(fd, { events: EPOLLIN });
    replace(fd);
    expect(await rejection(service[method](fd, { events: EPOLLIN }))).toMatchObject({ code: 'ENOENT', fd });
    expect(service.stats().registrations).toBe(0);
    await service.register(fd, { events: EPOLLIN });
    await service.unregister(fd);
  }
});

test('of a number that is closed: EBADF, and the old registration is gone', async () => {
  const { service } = await start();
  for (const method of ['modify', 'unregister'] as const) {
    const fd = sys.eventfd(0);
    await service.register(fd, { events: EPOLLIN });
    sys.close(fd);
    expect(await rejection(service[method](fd, { events: EPOLLIN }))).toMatchObject({ code: 'EBADF', fd });
    expect(service.stats().registrations).toBe(0);
  }
});

test('a dup keeps the closed file registered in the kernel: once the number is registered again, it is stale', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('all') });
  const fd = sys.eventfd(0);
  const copy = closing(sys.dup(fd));
  await service.register(fd, { events: EPOLLIN | EPOLLET, data: 0 });
  replace(fd);
  await service.register(fd, { events: EPOLLIN, data: 1 });
  signal(copy);
  await until(() => total(service, 'stale') === 1, 'the stale event');
  signal(fd);
  await until(() => cells.ends(1) === 1, 'a run');
  expect(cells.runs(0)).toBe(0);
});

test('without a handler: an event that waits for a listener is not delivered once its fd is another', async () => {
  const { service } = await start();
  const fd = sys.eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => total(service, 'handled') === 1, 'the event');
  replace(fd, 1);
  await service.register(fd, { events: EPOLLIN, data: 2 });
  await until(() => total(service, 'handled') === 2, 'the new event');
  const seen: bigint[] = [];
  service.on('event', ({ data }) => {
    seen.push(data);
    sys.read(fd, new Uint8Array(8));
  });
  await until(() => seen.length > 0, 'an event');
  await quiet();
  expect(seen).toEqual([2n]);
});

test('duplicates of one file are registrations of their own', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(0);
  const copies = [fd, closing(sys.dup(fd)), closing(sys.dup(fd))];
  for (const [data, copy] of copies.entries()) await service.register(copy, { events: EPOLLIN | EPOLLET, data });
  signal(fd);
  await until(() => copies.every((_, i) => cells.ends(i) === 1), 'a run of each');
  await service.unregister(fd);
  signal(fd);
  await until(() => cells.ends(1) === 2 && cells.ends(2) === 2, 'a run of the others');
  expect(cells.runs(0)).toBe(1);
});
