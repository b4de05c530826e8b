/** EPOLLONESHOT: one run, then rest until modify(). */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, total, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';

const ONCE = EPOLLIN | EPOLLONESHOT;

test.each([ONCE, (ONCE | EPOLLET) >>> 0])('one run, whatever comes later (mask %i)', async events => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(1);
  await service.register(fd, { events, data: 0 });
  await until(() => cells.ends(0) === 1, 'the run');
  signal(fd);
  signal(fd);
  await quiet();
  expect(cells.runs(0)).toBe(1);
});

test('modify() arms it again: at once if it is ready, later if it is not', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('all') });
  const fd = eventfd(1);
  await service.register(fd, { events: ONCE, data: 0 });
  await until(() => cells.ends(0) === 1, 'the run');
  await service.modify(fd, { events: ONCE, data: 1 });
  await quiet();
  expect(cells.runs(1)).toBe(0); // nothing there
  signal(fd);
  await until(() => cells.ends(1) === 1, 'the second run');
  signal(fd);
  await quiet();
  expect({ first: cells.runs(0), second: cells.runs(1) }).toEqual({ first: 1, second: 1 });
  await service.modify(fd, { events: ONCE, data: 2 });
  await until(() => cells.ends(2) === 1, 'the third run');
  await quiet();
  expect(cells.runs(2)).toBe(1);
});

test('modify() during a run is one more run, after it', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(1);
  cells.shut(0);
  await service.register(fd, { events: ONCE, data: 0 });
  await until(() => cells.runs(0) === 1, 'the run');
  await service.modify(fd, { events: ONCE, data: 1 });
  await until(() => total(service, 'contended') === 1, 'the event');
  expect(cells.runs(1)).toBe(0);
  cells.open(0);
  await until(() => cells.ends(1) === 1, 'the run that modify() asked for');
  await quiet();
  expect([cells.runs(0), cells.runs(1)]).toEqual([1, 1]);
});

test('ready.modify() from its own run: as many runs as there are bytes', async () => {
  const handler = module(`
    const byte = new Uint8Array(1);
    export default ready => {
      if (ready.read(byte) === 1) ready.post(byte[0]);
      ready.modify({ events: ${ONCE}, data: ready.data });
    };
  `);
  const { service, messages, failures } = await start({ handler });
  const [a, b] = socketpair();
  await service.register(a, { events: ONCE });
  const sent = Array.from({ length: 100 }, (_, i) => i);
  sys.write(b, Buffer.from(sent));
  await until(() => messages.length === sent.length, 'all bytes');
  expect({ messages, failures }).toEqual({ messages: sent, failures: [] });
});

test('many registrations, armed again over and over: one run each time', async () => {
  const cells = new Cells(50);
  const { service } = await start({ threads: 4, handler: STEERED, handlerData: cells.data('none') });
  const fds = Array.from({ length: 50 }, () => eventfd(1));
  await Promise.all(fds.map((fd, data) => service.register(fd, { events: ONCE, data })));
  for (let round = 1; round <= 20; round++) {
    await until(() => fds.every((_, i) => cells.ends(i) === round), `round ${round}`);
    await Promise.all(fds.map((fd, data) => service.modify(fd, { events: ONCE, data })));
  }
  await until(() => fds.every((_, i) => cells.ends(i) === 21), 'the last round');
  await quiet();
  expect(total(service, 'handled')).toBe(50 * 21);
});
