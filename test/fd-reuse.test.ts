/** An fd closed without unregister, its number used again: the old registration sees nothing of the new file. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { describe, expect, test } from 'vitest';
import { closing, signal } from './support/fds.ts';
import { quiet, start, total, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { rejection, within } from './support/within.ts';

const MODES = [
  ['level', 0],
  ['edge', EPOLLET],
  ['oneshot', EPOLLONESHOT],
] as const;
const OLD = 0;
const NEW = 1;

/** Closes the fd behind the service's back; the number is that of a new, readable eventfd then. */
function replace(fd: number): number {
  sys.close(fd);
  const stranger = closing(sys.eventfd(1));
  expect(stranger).toBe(fd);
  return stranger;
}

describe.each(MODES)('%s', (_, mode) => {
  const events = EPOLLIN | mode;

  /** A registration whose handler, which reads nothing, is under way. */
  async function running() {
    const cells = new Cells();
    const { service, failures } = await start({ threads: 2, handler: STEERED, handlerData: cells.data('none') });
    const fd = sys.eventfd(1);
    cells.shut(OLD);
    await service.register(fd, { events, data: OLD });
    await until(() => cells.runs(OLD) === 1, 'the run');
    return { cells, service, failures, fd };
  }

  test('closed while its handler runs, the number not registered again', async () => {
    const { cells, service, failures, fd } = await running();
    const stranger = replace(fd);
    cells.open(OLD);
    await until(() => cells.ends(OLD) === 1, 'the return');
    for (let i = 0; i < 20; i++) signal(stranger);
    await quiet();
    expect(cells.runs(OLD)).toBe(1);
    expect(await rejection(service.unregister(fd))).toMatchObject({ code: 'ENOENT', fd });
    expect(failures).toEqual([]);
    expect(service.stats().registrations).toBe(0);
  });

  test('closed while its handler runs, the number registered again: that one runs, beside the old run', async () => {
    const { cells, service, failures, fd } = await running();
    const stranger = replace(fd);
    cells.shut(NEW);
    await service.register(stranger, { events, data: NEW });
    await until(() => cells.runs(NEW) === 1, 'the run of the new registration');
    cells.open(OLD);
    await until(() => cells.ends(OLD) === 1, 'the return');
    signal(stranger);
    await quiet();
    expect(cells.runs(OLD)).toBe(1);
    expect(service.stats().registrations).toBe(1);
    await Promise.all([
      within(service.unregister(stranger)),
      until(() => service.stats().registrations === 0, 'the request').then(() => cells.open(NEW)),
    ]);
    expect(failures).toEqual([]);
  });

  test('closed after more events came during the run: they are dropped with it', async () => {
    const { cells, service, failures, fd } = await running();
    for (let i = 0; i < 20; i++) signal(fd);
    if (mode === EPOLLET) await until(() => total(service, 'contended') > 0, 'an edge beside the run');
    const stranger = replace(fd);
    cells.open(OLD);
    await until(() => cells.ends(OLD) === 1, 'the return');
    await quiet();
    expect(cells.runs(OLD)).toBe(1);
    expect(sys.read(stranger, new BigUint64Array(1))).toBe(8);
    expect(failures).toEqual([]);
  });

  test('closed, with a dup left open: what happens to the dup is for nobody once the number is registered', async () => {
    const cells = new Cells();
    const { service, failures } = await start({ handler: STEERED, handlerData: cells.data() });
    const fd = sys.eventfd(0);
    await service.register(fd, { events, data: OLD });
    const kept = closing(sys.dup(fd));
    sys.close(fd);
    const stranger = closing(sys.eventfd(0));
    expect(stranger).toBe(fd);
    await service.register(stranger, { events, data: NEW });
    for (let i = 0; i < 20; i++) signal(kept);
    signal(stranger);
    await until(() => cells.runs(NEW) === 1, 'the new registration');
    await quiet();
    expect([cells.runs(OLD), cells.runs(NEW)]).toEqual([0, 1]);
    expect(service.stats().registrations).toBe(1);
    expect(failures).toEqual([]);
  });

  test('closed while unregister waits: the next registration of the number waits too, and stays', async () => {
    const { cells, service, failures, fd } = await running();
    const order: string[] = [];
    const unregistered = service.unregister(fd).then(() => order.push('unregistered'));
    const stranger = replace(fd);
    const registered = service.register(stranger, { events, data: NEW }).then(() => order.push('registered'));
    await quiet();
    expect([order, cells.runs(NEW)]).toEqual([[], 0]);
    cells.open(OLD);
    await within(Promise.all([unregistered, registered]));
    expect(order).toEqual(['unregistered', 'registered']);
    await until(() => cells.runs(NEW) > 0, 'the new registration');
    expect(cells.runs(OLD)).toBe(1);
    await service.unregister(stranger);
    expect(failures).toEqual([]);
  });

  test('modify and unregister of a number that is another file by now: ENOENT, and the slot is free', async () => {
    const cells = new Cells();
    const { service } = await start({ handler: STEERED, handlerData: cells.data(), capacity: 1 });
    for (const call of ['modify', 'unregister'] as const) {
      const fd = sys.eventfd(0);
      await service.register(fd, { events, data: OLD });
      const stranger = replace(fd);
      expect(await rejection(service[call](stranger, { events, data: OLD }))).toMatchObject({ code: 'ENOENT', fd });
      expect(service.stats().registrations).toBe(0);
      sys.close(stranger);
    }
    await quiet();
    expect(cells.runs(OLD)).toBe(0);
  });
});

test('closed in the middle of a batch, the numbers used again: nothing that was fetched reaches the old handlers', async () => {
  const COUNT = 40;
  const cells = new Cells(COUNT + 1);
  const { service, failures } = await start({ threads: 1, batch: 64, handler: STEERED, handlerData: cells.data() });
  const fds = Array.from({ length: COUNT }, () => sys.eventfd(0));
  await Promise.all(fds.map((fd, data) => service.register(fd, { events: EPOLLIN | EPOLLET, data })));
  // The batch grows while runs are short.
  for (let round = 1; round <= 100; round++) {
    for (const fd of fds) signal(fd);
    await until(() => fds.every((_, i) => cells.ends(i) >= round), `round ${round}`);
  }
  const before = fds.map((_, i) => cells.runs(i));
  for (const i of fds.keys()) cells.shut(i);
  const events = service.stats().threads[0]?.events ?? 0;
  for (const fd of fds) signal(fd);
  const started = () => fds.findIndex((_, i) => cells.runs(i) > (before[i] ?? 0));
  await until(() => started() >= 0, 'the first run of the batch');
  const first = started();
  await quiet(); // the rest of the batch is in hand, behind a handler that takes its time
  expect(service.stats().threads[0]?.events ?? 0).toBeGreaterThanOrEqual(events);
  const others = fds.filter((_, i) => i !== first);
  for (const fd of others) sys.close(fd);
  const strangers = others.map(() => closing(sys.eventfd(1)));
  expect(new Set(strangers)).toEqual(new Set(others));
  for (const i of fds.keys()) cells.open(i);
  await until(() => cells.ends(first) > (before[first] ?? 0), 'the return of the first');
  await quiet();
  expect(fds.map((_, i) => cells.runs(i) - (before[i] ?? 0))).toEqual(fds.map((_, i) => (i === first ? 1 : 0)));
  expect(strangers.map(fd => sys.read(fd, new BigUint64Array(1)))).toEqual(strangers.map(() => 8));
  expect(failures).toEqual([]);
  const last = fds[first];
  if (last !== undefined) closing(last);
});
