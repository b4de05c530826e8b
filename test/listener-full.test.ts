/** When more events come than a thread has room for, it waits: nothing is dropped. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, onTestFinished, test } from 'vitest';
import { quiet, start, total, until } from './support/service.ts';
import { within } from './support/within.ts';

const FDS = 3000;

function ready(): number[] {
  const fds = Array.from({ length: FDS }, () => sys.eventfd(1));
  onTestFinished(() => {
    for (const fd of fds) sys.close(fd);
  });
  return fds;
}

test.each([
  ['level', EPOLLIN],
  ['edge', (EPOLLIN | EPOLLET) >>> 0],
  ['oneshot', EPOLLIN | EPOLLONESHOT],
])('3,000 events, one thread, no listener at first (%s)', async (_mode, events) => {
  const { service } = await start({ threads: 1 });
  const fds = ready();
  await Promise.all(fds.map(fd => service.register(fd, { events })));
  await until(() => total(service, 'handled') >= 1024, 'a full ring');
  await quiet();
  expect(total(service, 'handled')).toBeLessThan(FDS);
  const seen = new Map<number, number>();
  service.on('event', ({ fd }) => {
    seen.set(fd, (seen.get(fd) ?? 0) + 1);
    sys.read(fd, new Uint8Array(8));
  });
  await until(() => seen.size === FDS, 'all events');
  await quiet();
  expect([...seen.values()].every(count => count === 1)).toBe(true);
});

test('two threads', async () => {
  const { service } = await start({ threads: 2 });
  const fds = ready();
  await Promise.all(fds.map(fd => service.register(fd, { events: EPOLLIN | EPOLLET })));
  await until(() => total(service, 'handled') >= 2048, 'full rings');
  let count = 0;
  for await (const _event of service) if (++count === FDS) break;
});

test('what is unregistered while its event waits is not delivered', async () => {
  const { service } = await start({ threads: 1 });
  const fds = ready();
  await Promise.all(fds.map(fd => service.register(fd, { events: EPOLLIN | EPOLLET })));
  await until(() => total(service, 'handled') >= 1024, 'a full ring');
  await quiet();
  const kept = new Set(fds.filter((_, i) => i % 2 === 0));
  await within(Promise.all(fds.filter(fd => !kept.has(fd)).map(fd => service.unregister(fd))));
  const seen: number[] = [];
  service.on('event', ({ fd }) => seen.push(fd));
  await until(() => seen.length >= kept.size, 'all that are kept');
  await quiet();
  expect(new Set(seen)).toEqual(kept);
  expect(seen).toHaveLength(kept.size);
});

test('close() while threads wait for room', async () => {
  const { service } = await start({ threads: 2 });
  await Promise.all(ready().map(fd => service.register(fd, { events: EPOLLIN })));
  await until(() => total(service, 'handled') >= 2048, 'full rings');
  await within(service.close());
});

test('wake() of more than there is room for: close() does not wait for room, and a listener gets all', async () => {
  const { service } = await start({ threads: 1 });
  const other = await start({ threads: 1 });
  const fds = Array.from({ length: FDS }, () => sys.eventfd());
  onTestFinished(() => {
    for (const fd of fds) sys.close(fd);
  });
  for (const each of [service, other.service]) {
    await Promise.all(fds.map(fd => each.register(fd, { events: EPOLLIN })));
    for (const fd of fds) each.wake(fd);
    await until(() => total(each, 'handled') >= 1024, 'a full ring');
    await quiet();
  }
  await within(service.close());
  const seen = new Set<number>();
  other.service.on('event', ({ fd }) => seen.add(fd));
  await until(() => seen.size === FDS, 'all that were woken');
});
