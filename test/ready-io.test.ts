/** ready.read and ready.write: bytes, 0 at end of stream, -1 when it would block; everything else is thrown. */
import { EPOLLET, EPOLLIN, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, pipe, socketpair } from './support/fds.ts';
import { module, start, until } from './support/service.ts';

/** What the expression, or the throw of it, comes to in one run for `fd`. */
async function inHandler(fd: number, expression: string, events = EPOLLIN): Promise<unknown> {
  const handler = module(`
    const attempt = call => {
      try { return call(); } catch (e) { return { name: e.name, code: e.code, errno: e.errno, syscall: e.syscall, fd: e.fd }; }
    };
    export default ready => { ready.post(attempt(() => ${expression})); };
  `);
  const { service, messages } = await start({ handler });
  await service.register(fd, { events: events | EPOLLET, data: 2n ** 63n });
  await until(() => messages.length > 0, 'a run');
  return messages[0];
}

test('bytes, then -1', async () => {
  const [a, b] = socketpair();
  sys.write(b, Buffer.from('abc'));
  const source = '{ const b = Buffer.alloc(8); return [ready.read(b), b.toString("latin1", 0, 3), ready.read(b)]; }';
  expect(await inHandler(a, `(() => ${source})()`)).toEqual([3, 'abc', -1]);
});

test('0 at the end of the stream', async () => {
  const [a, b] = sys.socketpair();
  sys.close(b);
  expect(await inHandler(a, 'ready.read(new Uint8Array(8))')).toBe(0);
  sys.close(a);
});

test('write: bytes, then -1 when there is no room', async () => {
  const { readable, writable } = pipe();
  const source = `{
    const page = new Uint8Array(4096);
    let sum = 0;
    for (let n = ready.write(page); n >= 0; n = ready.write(page)) sum += n;
    return [sum, ready.write(page)];
  }`;
  expect(await inHandler(writable, `(() => ${source})()`, EPOLLOUT)).toEqual([65_536, -1]);
  expect(sys.read(readable, Buffer.alloc(100_000))).toBe(65_536);
});

test('every kind of view is taken, at its offset', async () => {
  const [a, b] = socketpair();
  sys.write(b, Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
  const source = `{
    const memory = new SharedArrayBuffer(32);
    const first = ready.read(new DataView(memory, 2, 4));
    const second = ready.read(new Float64Array(memory, 8, 1));
    const third = ready.read(new Uint8Array(0));
    return [first, second, third, Array.from(new Uint8Array(memory)).slice(0, 16)];
  }`;
  expect(await inHandler(a, `(() => ${source})()`)).toEqual([
    4,
    8,
    0,
    [0, 0, 1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 9, 10, 11, 12],
  ]);
});

test('other failures are EpollErrors', async () => {
  const fd = eventfd(1);
  expect(await inHandler(fd, 'ready.read(new Uint8Array(4))')).toEqual({
    name: 'EpollError',
    code: 'EINVAL',
    errno: -22,
    syscall: 'read',
    fd,
  });
  const { readable, writable } = sys.pipe();
  sys.close(readable);
  expect(await inHandler(writable, 'ready.write(new Uint8Array(4))')).toMatchObject({
    code: 'EPIPE',
    syscall: 'write',
  });
  sys.close(writable);
});

test.each(['undefined', 'null', '5', '"text"', 'new ArrayBuffer(8)', '[1]'])('%s is no buffer', async value => {
  expect(await inHandler(eventfd(1), `ready.read(${value})`)).toMatchObject({
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
  });
  expect(await inHandler(eventfd(1), `ready.write(${value})`)).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
});

test('a detached buffer is empty', async () => {
  const source =
    '{ const b = new Uint8Array(8); structuredClone(b.buffer, { transfer: [b.buffer] }); return ready.read(b); }';
  expect(await inHandler(pipe().writable, `(() => ${source})()`, EPOLLOUT)).toMatchObject({ code: 'EBADF' });
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(1));
  expect(await inHandler(a, `(() => ${source})()`)).toBe(0);
});

test('fd, events and data', async () => {
  const fd = eventfd(1);
  expect(await inHandler(fd, '[ready.fd, ready.events, ready.data]')).toEqual([fd, EPOLLIN, 2n ** 63n]);
});
