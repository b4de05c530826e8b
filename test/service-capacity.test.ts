/** One registration more than `capacity` is ERR_OUT_OF_RANGE; after an unregister there is room again. */
import { EPOLLIN } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { rejection } from './support/within.ts';

const IN = { events: EPOLLIN };

test('one too many, and room again', async () => {
  const { service } = await start({ capacity: 3 });
  const [a, b, c, d] = [eventfd(), eventfd(), eventfd(), eventfd()];
  await Promise.all([a, b, c].map(fd => service.register(fd, IN)));
  expect(service.stats().registrations).toBe(3);
  expect(await rejection(service.register(d, IN))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  // What is there already is the kernel's to refuse.
  expect(await rejection(service.register(a, IN))).toMatchObject({ code: 'EEXIST' });
  await service.modify(b, IN);
  await service.unregister(b);
  await service.register(d, IN);
  expect(await rejection(service.register(b, IN))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
});

test('a refused register takes no room', async () => {
  const { service } = await start({ capacity: 1 });
  for (let i = 0; i < 5000; i++) await service.register(2 ** 30, IN).catch(() => {});
  await service.register(eventfd(), IN);
});

test('registrations that come and go, ten thousand of them, in room for one', async () => {
  const cells = new Cells();
  const { service } = await start({ capacity: 1, handler: STEERED, handlerData: cells.data('all') });
  const fd = eventfd();
  for (let i = 0; i < 10_000; i++) {
    await service.register(fd, { events: EPOLLIN, data: 0 });
    await service.unregister(fd);
  }
  await service.register(fd, { events: EPOLLIN, data: 1 });
  sys.write(fd, new BigUint64Array([1n]));
  await until(() => cells.ends(1) === 1, 'a run');
});

test('registrations that are ending take no room from others', async () => {
  const cells = new Cells();
  const { service } = await start({ capacity: 2, handler: STEERED, handlerData: cells.data('all') });
  const busy = eventfd(1);
  cells.shut(0);
  await service.register(busy, { events: EPOLLIN, data: 0 });
  await until(() => cells.runs(0) === 1, 'a run');
  const unregistered = service.unregister(busy);
  await service.register(eventfd(), { events: EPOLLIN, data: 1 });
  await service.register(eventfd(), { events: EPOLLIN, data: 2 });
  cells.open(0);
  await unregistered;
});
