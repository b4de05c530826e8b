/** A target with an id is one registration and no other; what has ended need not be ended again. */
import { EPOLLET, EPOLLIN, type Registration, type ServiceEvent } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { createPlan, idOf, slotOf } from '../dist/shared/service/layout.js';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, until } from './support/service.ts';
import { rejection } from './support/within.ts';

test('no two registrations have the same id, on one fd or on many', async () => {
  const { service } = await start({ threads: 1 });
  const ids = new Set<number>();
  const fds = Array.from({ length: 50 }, () => eventfd());
  for (let round = 0; round < 100; round++) {
    const made = await Promise.all(fds.map(fd => service.register(fd, { events: EPOLLIN })));
    for (const { id } of made) ids.add(id);
    await Promise.all(made.map(registration => service.unregister(registration)));
  }
  expect(ids.size).toBe(5000);
  expect([...ids].every(id => Number.isSafeInteger(id) && id >= 0)).toBe(true);
});

test('unregister and modify by an old registration: ENOENT, and the new one stays as it is', async () => {
  const { service } = await start({ threads: 1 });
  const fd = eventfd();
  const first = await service.register(fd, { events: EPOLLIN, data: 1 });
  await service.unregister(first);
  const second = await service.register(fd, { events: EPOLLIN, data: 2 });
  expect(await rejection(service.unregister(first))).toMatchObject({ name: 'EpollError', code: 'ENOENT', fd });
  expect(await rejection(service.modify(first, { events: EPOLLIN, data: 3 }))).toMatchObject({ code: 'ENOENT' });
  const events: ServiceEvent[] = [];
  service.on('event', event => {
    events.push(event);
    sys.read(fd, new Uint8Array(8));
  });
  signal(fd);
  await until(() => events.length === 1, 'an event');
  expect(events).toEqual([{ ...second, events: EPOLLIN, data: 2n }]);
  await service.modify(second, { events: EPOLLIN, data: 4 });
  await service.unregister(events[0] ?? first);
  expect(service.stats().registrations).toBe(0);
});

test('a Ready, its service events and its errors say the same id', async () => {
  const handler = module(`
    export default ready => { ready.post(ready.id); if (ready.data === 2n) throw new Error('no'); ready.read(new Uint8Array(8)); };
  `);
  const { service, messages, failures } = await start({ handler });
  const one = await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  const two = await service.register(eventfd(1), { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 2 && failures.length === 1, 'both');
  expect([...messages].sort()).toEqual([one.id, two.id].sort());
  expect(failures[0]?.event).toEqual({ ...two, events: EPOLLIN, data: 2n });
});

test('a handler that closes what the main thread has unregistered meanwhile, again and again: no error', async () => {
  const handler = module(`export default ready => { ready.read(new Uint8Array(8)); ready.close(); };`);
  const { service, failures } = await start({ threads: 2, handler });
  let ended = 0;
  for (let i = 0; i < 400; i++) {
    const [a, b] = socketpair();
    const registration: Registration = await service.register(a, { events: EPOLLIN | EPOLLET });
    sys.write(b, Buffer.alloc(8));
    // One of the two is first, as with a timeout that meets the end of a connection.
    const spin = performance.now() + Math.random() * 0.2;
    while (performance.now() < spin);
    await service.unregister(registration).then(
      () => ended++,
      error => expect(error).toMatchObject({ code: expect.stringMatching(/^(ENOENT|EBADF)$/) }),
    );
  }
  await quiet();
  expect(failures).toEqual([]);
  expect(ended).toBeGreaterThan(0);
  expect(service.stats().registrations).toBe(0);
});

test("a handler's modify() that fails tells the id of its own registration, not of the next one in its place", async () => {
  const handler = module(`
    import { closeSync } from 'node:fs';
    export default ready => { closeSync(ready.fd); ready.modify({ events: ${EPOLLIN}, data: 9 }); };
  `);
  const { service, failures } = await start({ threads: 1, handler });
  const registration = await service.register(sys.eventfd(1), { events: EPOLLIN });
  await until(() => failures.length === 1, 'the failure');
  expect(failures[0]?.error).toMatchObject({ code: 'EBADF', fd: registration.fd });
  expect(failures[0]?.event).toEqual({ ...registration, events: EPOLLIN, data: 9n });
});

test('objects with an fd and something else as their id mean the fd', async () => {
  const { service } = await start({ threads: 1 });
  const fd = eventfd();
  await service.register({ fd }, { events: EPOLLIN });
  const named = { fd, id: 'a connection' };
  await service.modify(named, { events: EPOLLIN, data: 2 });
  await service.unregister(named);
  expect(service.stats().registrations).toBe(0);
});

test('an id says its slot, up to the last slot of the greatest capacity', () => {
  const { slots } = createPlan(2, 2 ** 24, 64, 0, 64);
  const id = idOf(slots - 1, -1);
  expect(Number.isSafeInteger(id)).toBe(true);
  expect(slotOf(id)).toBe(slots - 1);
});
