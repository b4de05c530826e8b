/** The kernel's refusals, and wrong arguments, are rejections: nothing is thrown, and the service goes on. */
import { openSync } from 'node:fs';
import { EPOLLEXCLUSIVE, EPOLLIN, EpollError } from 'epoll-pool';
import { expect, test } from 'vitest';
import { closing, eventfd, unusedFd } from './support/fds.ts';
import { start } from './support/service.ts';
import { rejection } from './support/within.ts';

const IN = { events: EPOLLIN };

test.each([
  ['EEXIST', -17, 'register'],
  ['ENOENT', -2, 'modify'],
  ['ENOENT', -2, 'unregister'],
] as const)('%s', async (code, errno, method) => {
  const { service } = await start();
  const fd = eventfd();
  if (code === 'EEXIST') await service.register(fd, IN);
  const error = await rejection(service[method](fd, IN));
  expect(error).toBeInstanceOf(EpollError);
  expect(error).toMatchObject({ name: 'EpollError', code, errno, syscall: 'epoll_ctl', fd });
  if (code === 'EEXIST') await service.unregister(fd);
  else await service.register(fd, IN);
});

test('EBADF: not open', async () => {
  const { service } = await start();
  for (const method of ['register', 'modify', 'unregister'] as const) {
    const fd = unusedFd();
    expect(await rejection(service[method](fd, IN))).toMatchObject({ code: 'EBADF', fd });
  }
});

test('EPERM: a regular file, a folder', async () => {
  const { service } = await start();
  for (const path of ['/etc/passwd', '/']) {
    const fd = closing(openSync(path, 'r'));
    expect(await rejection(service.register(fd, IN))).toMatchObject({ code: 'EPERM', fd });
  }
  expect(service.stats().registrations).toBe(0);
});

const untyped = { undefined, null: null, text: '3', object: {}, inner: { fd: '3' }, big: 3n };

test.each(Object.entries(untyped))('an fd that is %s', async (_name, fd) => {
  const { service } = await start();
  for (const method of ['register', 'modify', 'unregister'] as const) {
    expect(await rejection(Reflect.apply(service[method], service, [fd, IN]))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});

test.each([-1, 1.5, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY])('fd %d', async fd => {
  const { service } = await start();
  for (const method of ['register', 'modify', 'unregister'] as const) {
    expect(await rejection(service[method](fd, IN))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(await rejection(service[method]({ fd }, IN))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  }
});

test.each([
  [undefined, 'ERR_INVALID_ARG_TYPE'],
  [null, 'ERR_INVALID_ARG_TYPE'],
  [1, 'ERR_INVALID_ARG_TYPE'],
  [{}, 'ERR_INVALID_ARG_TYPE'],
  [{ events: '1' }, 'ERR_INVALID_ARG_TYPE'],
  [{ events: 1n }, 'ERR_INVALID_ARG_TYPE'],
  [{ events: 1, data: '1' }, 'ERR_INVALID_ARG_TYPE'],
  [{ events: 1, data: null }, 'ERR_INVALID_ARG_TYPE'],
  [{ events: 1.5 }, 'ERR_OUT_OF_RANGE'],
  [{ events: 2 ** 32 }, 'ERR_OUT_OF_RANGE'],
  [{ events: -(2 ** 31) - 1 }, 'ERR_OUT_OF_RANGE'],
  [{ events: Number.NaN }, 'ERR_OUT_OF_RANGE'],
  [{ events: 1, data: -1 }, 'ERR_OUT_OF_RANGE'],
  [{ events: 1, data: 0.5 }, 'ERR_OUT_OF_RANGE'],
  [{ events: 1, data: 2 ** 53 }, 'ERR_OUT_OF_RANGE'],
  [{ events: 1, data: 2n ** 64n }, 'ERR_OUT_OF_RANGE'],
  [{ events: EPOLLIN | EPOLLEXCLUSIVE }, 'ERR_OUT_OF_RANGE'],
] as const)('event %o', async (event, code) => {
  const { service } = await start();
  const fd = eventfd();
  await service.register(fd, IN);
  const before = service.stats().controlCalls;
  for (const method of [service.register, service.modify]) {
    expect(await rejection(Reflect.apply(method, service, [fd, event]))).toMatchObject({ code });
  }
  expect(service.stats().controlCalls).toBe(before); // the kernel was not asked
});

test('getters are read once, and one that throws rejects', async () => {
  const { service } = await start();
  const reads: string[] = [];
  const fd = eventfd();
  const counted = {
    get fd() {
      reads.push('fd');
      return fd;
    },
    get events() {
      reads.push('events');
      return EPOLLIN;
    },
    get data() {
      reads.push('data');
      return 1;
    },
  };
  await service.register(counted, counted);
  expect(reads.sort()).toEqual(['data', 'events', 'fd']);
  const hostile = {
    get fd(): number {
      throw new Error('hostile');
    },
  };
  expect(await rejection(service.unregister(hostile))).toMatchObject({ message: 'hostile' });
});

test('no fd of the process can be used to get at the service itself', async () => {
  const { service } = await start({ threads: 1 });
  for (let fd = 3; fd < 60; fd++) {
    await service.modify(fd, IN).catch(() => {});
    await service.unregister(fd).catch(() => {});
  }
  const fd = eventfd(1);
  await service.register(fd, IN);
  const event = await new Promise(resolve => service.once('event', resolve));
  expect(event).toMatchObject({ fd });
  await service.close(); // its threads still hear of it
});
