/** modify() replaces mask and data both, ends a rest, and changes the mode, whatever is under way. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { quiet, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';

const MODES = { level: EPOLLIN, edge: (EPOLLIN | EPOLLET) >>> 0, oneshot: EPOLLIN | EPOLLONESHOT };
const pairs = Object.entries(MODES).flatMap(([from, a]) =>
  Object.entries(MODES).map(([to, b]) => [from, to, a, b] as const),
);

test.each(pairs)('from %s to %s, at rest', async (_from, to, before, after) => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('all') });
  const fd = eventfd(0);
  await service.register(fd, { events: before, data: 0 });
  await service.modify(fd, { events: after, data: 1 });
  signal(fd);
  await until(() => cells.ends(1) === 1, 'a run with the new data');
  signal(fd);
  if (to === 'oneshot') await quiet();
  else await until(() => cells.ends(1) === 2, 'a second run');
  expect({ old: cells.runs(0), runs: cells.runs(1) }).toEqual({ old: 0, runs: to === 'oneshot' ? 1 : 2 });
});

test.each(pairs)('from %s to %s, during a run', async (_from, to, before, after) => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data(8) });
  const [fd, peer] = socketpair();
  const write = (): number => sys.write(peer, Buffer.alloc(8));
  write();
  cells.shut(0);
  await service.register(fd, { events: before, data: 0 });
  await until(() => cells.runs(0) === 1, 'the run');
  await service.modify(fd, { events: after, data: 1 });
  write();
  cells.open(0);
  // The kernel was made to look while the fd was ready, so the run that modify() asked for comes in every mode.
  await until(() => cells.ends(1) >= 1, 'a run with the new data');
  await quiet();
  expect(cells.runs(0)).toBe(1);
  const runs = cells.runs(1);
  // modify()'s look; and the write after it, whose event another thread may have fetched before the bytes were read
  expect(runs).toBeLessThanOrEqual(to === 'oneshot' ? 1 : 2);
  write();
  await quiet();
  expect(cells.runs(1) - runs).toBe(to === 'oneshot' ? 0 : 1);
  expect([cells.overlaps(0), cells.overlaps(1)]).toEqual([0, 0]);
});

test.each(pairs)(
  'from %s to %s and to another interest, while its event is in hand',
  async (_from, _to, before, after) => {
    // One thread is held up in another registration; what it has fetched behind that is of the old interest.
    const cells = new Cells();
    const { service } = await start({ threads: 1, handler: STEERED, handlerData: cells.data('none') });
    // Cheap runs first, so that the thread takes several events at once.
    const warm = eventfd(1);
    await service.register(warm, { events: EPOLLIN, data: 2 });
    await until(() => cells.runs(2) > 2000, 'cheap runs');
    await service.unregister(warm);

    const gate = eventfd(0);
    await service.register(gate, { events: EPOLLIN | EPOLLET, data: 3 });
    const [a, b] = socketpair();
    await service.register(a, { events: before, data: 0 });
    for (let round = 1; round <= 20; round++) {
      cells.shut(3);
      signal(gate);
      sys.write(b, Buffer.alloc(1));
      await until(() => cells.runs(3) === round, 'the thread is held up');
      const runs = cells.runs(1);
      await service.modify(a, { events: (after & ~EPOLLIN) | EPOLLOUT, data: 1 });
      cells.open(3);
      await until(() => cells.runs(1) > runs, `round ${round}: a run for the new interest`, 3000);
      expect(cells.mask(1)).toBe(EPOLLOUT);
      await service.modify(a, { events: before, data: 0 });
    }
  },
);

test('modify() of a oneshot while its event is in hand: one run, with the new data', async () => {
  const cells = new Cells();
  const { service } = await start({ threads: 1, handler: STEERED, handlerData: cells.data('none') });
  const warm = eventfd(1);
  await service.register(warm, { events: EPOLLIN, data: 2 });
  await until(() => cells.runs(2) > 2000, 'cheap runs');
  await service.unregister(warm);
  const gate = eventfd(0);
  await service.register(gate, { events: EPOLLIN | EPOLLET, data: 3 });
  const fd = eventfd(0);
  await service.register(fd, { events: MODES.oneshot, data: 0 });
  cells.shut(3);
  signal(gate);
  signal(fd); // before the thread has woken up: it takes both at once
  await until(() => cells.runs(3) === 1, 'the thread is held up');
  await service.modify(fd, { events: MODES.oneshot, data: 1 });
  cells.open(3);
  await until(() => cells.ends(1) === 1, 'the run');
  await quiet();
  expect([cells.runs(0), cells.runs(1)]).toEqual([0, 1]);
});

test('the mask of an event never holds what is no longer asked for', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(1));
  await service.register(a, { events: EPOLLIN | EPOLLOUT, data: 0 });
  await until(() => cells.runs(0) > 10, 'runs');
  await service.modify(a, { events: EPOLLIN, data: 1 });
  await until(() => cells.runs(1) > 10, 'runs with the new data');
  expect([cells.mask(0), cells.mask(1)]).toEqual([EPOLLIN | EPOLLOUT, EPOLLIN]);
});

test('an empty interest stops it', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 0 });
  await until(() => cells.runs(0) > 10, 'runs');
  await service.modify(fd, { events: 0, data: 1 });
  await quiet();
  const runs = cells.runs(0);
  await quiet();
  expect([cells.runs(0) - runs, cells.runs(1)]).toEqual([0, 0]);
  await service.modify(fd, { events: EPOLLIN, data: 2 });
  await until(() => cells.runs(2) > 10, 'runs again');
});

test('data takes all 64 bits, and defaults to the fd', async () => {
  const { service, messages } = await start({
    handler: `data:text/javascript,export default ready => { ready.read(new Uint8Array(8)); ready.post([ready.fd, ready.data]); }`,
  });
  const fd = eventfd(1);
  const datas = [undefined, 0, 2 ** 53 - 1, 2n ** 64n - 1n, 0x8000_0000_8000_0000n];
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => messages.length === 1, 'the first');
  for (const [i, data] of datas.entries()) {
    await service.modify(fd, data === undefined ? { events: EPOLLIN } : { events: EPOLLIN, data });
    signal(fd);
    await until(() => messages.length === i + 2, `event ${i}`);
  }
  expect(messages.slice(1)).toEqual(datas.map(data => [fd, BigInt(data ?? fd)]));
});
