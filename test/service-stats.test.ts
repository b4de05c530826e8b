/** stats(): what a service counts. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { module, quiet, start, total, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';

test('runs, events, waits, errors, control calls and registrations', async () => {
  const cells = new Cells();
  const { service } = await start({ threads: 1, handler: STEERED, handlerData: cells.data('all') });
  const fresh = service.stats();
  expect(fresh).toMatchObject({ registrations: 0, restarts: 0 });
  expect(fresh.threads).toMatchObject([{ events: 0, handled: 0, contended: 0, stale: 0, errors: 0, busyMs: 0 }]);
  const fd = eventfd(0);
  await service.register(fd, { events: EPOLLIN, data: 0 });
  for (let i = 1; i <= 5; i++) {
    signal(fd);
    await until(() => cells.ends(0) === i, `run ${i}`);
  }
  await service.modify(fd, { events: EPOLLIN | EPOLLET, data: 0 });
  const { registrations, controlCalls, threads } = service.stats();
  expect({ registrations, controlCalls: controlCalls - fresh.controlCalls }).toEqual({
    registrations: 1,
    controlCalls: 2,
  });
  expect(threads).toMatchObject([{ events: 5, handled: 5, errors: 0 }]);
  expect(threads[0]?.waits).toBeGreaterThanOrEqual(5);
  expect(threads[0]?.threadId).toBeGreaterThan(0);
  await service.unregister(fd);
  expect(service.stats().registrations).toBe(0);
});

const MODES = { level: EPOLLIN, edge: (EPOLLIN | EPOLLET) >>> 0, oneshot: EPOLLIN | EPOLLONESHOT };
const CONSUMERS = ['a listener', 'a listener that comes and goes', 'for await'] as const;
const EACH = Object.entries(MODES).flatMap(([mode, events]) => CONSUMERS.map(who => [who, mode, events] as const));

test.each(EACH)(
  'without a handler every event is handled once, and a look that finds nothing is none: %s, %s',
  async (who, _, events) => {
    const { service } = await start();
    const fd = eventfd(0);
    await service.register(fd, { events });
    let seen = 0;
    const see = (): void => {
      seen++;
      sys.read(fd, new Uint8Array(8));
      if (events === MODES.oneshot) service.modify(fd, { events });
    };
    const iterate = async (): Promise<void> => {
      for await (const _event of service) see();
    };
    if (who === 'a listener') service.on('event', see);
    const iterated = who === 'for await' ? iterate() : undefined;
    for (let i = 1; i <= 10; i++) {
      signal(fd);
      if (who === CONSUMERS[1]) service.on('event', see);
      await until(() => seen === i, `event ${i}`);
      service.off('event', who === CONSUMERS[1] ? see : () => {});
    }
    service.wake(fd);
    if (who === CONSUMERS[1]) service.on('event', see);
    await until(() => seen === 11, 'the event of the wake()');
    await quiet();
    expect({ seen, handled: total(service, 'handled') }).toEqual({ seen: 11, handled: 11 });
    await service.close();
    await iterated;
  },
);

test.each([
  'for (const end = performance.now() + 100; performance.now() < end; );',
  'await new Promise(r => setTimeout(r, 100));',
])('busyMs is the time that handlers took: %s', async statement => {
  const handler = module(`export default async ready => { ready.read(new Uint8Array(8)); ${statement} };`);
  const { service } = await start({ threads: 1, handler });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => (service.stats().threads[0]?.busyMs ?? 0) >= 90, '90 ms');
});

test('each thread has an id of its own', async () => {
  const { service } = await start({ threads: 5 });
  expect(new Set(service.stats().threads.map(({ threadId }) => threadId)).size).toBe(5);
});
