/** EPOLLOUT, EPOLLRDHUP, EPOLLHUP and EPOLLERR in a service. */
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { pipe, socketpair } from './support/fds.ts';
import { quiet, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';

async function cellsWith(fd: number, events: number): Promise<Cells> {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  await service.register(fd, { events, data: 0 });
  return cells;
}

test('EPOLLOUT level: runs while there is room', async () => {
  const cells = await cellsWith(pipe().writable, EPOLLOUT);
  await until(() => cells.runs(0) > 100, 'many runs');
  expect(cells.mask(0)).toBe(EPOLLOUT);
});

test('EPOLLOUT edge: runs when there is room again', async () => {
  const { readable, writable } = pipe();
  while (sys.write(writable, Buffer.alloc(65_536)) > 0);
  const cells = await cellsWith(writable, EPOLLOUT | EPOLLET);
  await quiet();
  expect(cells.runs(0)).toBe(0);
  while (sys.read(readable, Buffer.alloc(65_536)) > 0);
  await until(() => cells.ends(0) === 1, 'the edge');
  await quiet();
  expect(cells.runs(0)).toBe(1);
});

test('EPOLLRDHUP: the peer has shut down', async () => {
  const [a, b] = sys.socketpair();
  const cells = await cellsWith(a, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT);
  sys.close(b);
  await until(() => cells.ends(0) === 1, 'the run');
  expect(cells.mask(0)).toBe(EPOLLIN | EPOLLRDHUP | EPOLLHUP);
  sys.close(a);
});

test('EPOLLHUP comes though it was not asked for', async () => {
  const { readable, writable } = sys.pipe();
  const cells = await cellsWith(readable, EPOLLET);
  sys.close(writable);
  await until(() => cells.ends(0) === 1, 'the run');
  expect(cells.mask(0)).toBe(EPOLLHUP);
  sys.close(readable);
});

test('EPOLLHUP level: runs while it holds', async () => {
  const { readable, writable } = sys.pipe();
  const cells = await cellsWith(readable, 0);
  sys.close(writable);
  await until(() => cells.runs(0) > 100, 'many runs');
  expect(cells.mask(0)).toBe(EPOLLHUP);
  sys.close(readable);
});

test('EPOLLERR comes though it was not asked for', async () => {
  const { readable, writable } = sys.pipe();
  const cells = await cellsWith(writable, EPOLLET);
  sys.close(readable);
  await until(() => cells.ends(0) === 1, 'the run');
  expect(cells.mask(0)).toBe(EPOLLERR);
  sys.close(writable);
});

test('a socket: read and room together', async () => {
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(1));
  const cells = await cellsWith(a, EPOLLIN | EPOLLOUT | EPOLLONESHOT);
  await until(() => cells.ends(0) === 1, 'the run');
  expect(cells.mask(0)).toBe(EPOLLIN | EPOLLOUT);
});

test('bits 31 and signed masks are taken as they are, and what is reported is unsigned', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(1));
  await service.register(a, { events: EPOLLIN | EPOLLET, data: 0 }); // negative
  await service.register(b, { events: (EPOLLOUT | EPOLLET) >>> 0, data: 1 });
  await until(() => cells.ends(0) === 1 && cells.ends(1) === 1, 'both');
  expect([cells.mask(0), cells.mask(1)]).toEqual([EPOLLIN, EPOLLOUT]);
});
