/** A handler that never returns holds up its own registration, and nothing else. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { module, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { within } from './support/within.ts';

test.each([
  ['level', EPOLLIN],
  ['edge', (EPOLLIN | EPOLLET) >>> 0],
  ['oneshot', EPOLLIN | EPOLLONESHOT],
])('others go on, those that were fetched with it too (%s)', async (_mode, events) => {
  const cells = new Cells(200);
  const { service } = await start({ threads: 2, handler: STEERED, handlerData: cells.data('all') });
  const fds = Array.from({ length: 100 }, () => eventfd(0));
  await Promise.all(fds.map((fd, data) => service.register(fd, { events, data })));
  if (events !== MODE_ONESHOT) {
    // Cheap runs first, so that a thread takes many at once.
    for (let round = 1; round <= 5; round++) {
      for (const fd of fds) signal(fd);
      await until(() => fds.every((_, i) => cells.ends(i) >= round), `round ${round}`);
    }
  }
  const before = fds.map((_, i) => cells.ends(i));
  cells.shut(50);
  for (const fd of fds) signal(fd);
  await until(() => fds.every((_, i) => i === 50 || cells.ends(i) > (before[i] ?? 0)), 'all others');
  expect(cells.ends(50)).toBe(before[50]);
  cells.open(50);
  await until(() => cells.ends(50) > (before[50] ?? 0), 'the one that was stuck');
});

const MODE_ONESHOT = EPOLLIN | EPOLLONESHOT;

test('an endless loop: close({ timeout }) ends it', async () => {
  const handler = module(
    'export default ready => { if (ready.data === 1n) for (;;); ready.read(new Uint8Array(8)); ready.post(1); };',
  );
  const { service, messages } = await start({ threads: 2, handler });
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  for (let i = 0; i < 10; i++) await service.register(eventfd(1), { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 10, 'the others');
  const from = performance.now();
  await within(service.close({ timeout: 100 }));
  expect(performance.now() - from).toBeGreaterThanOrEqual(99);
});
