/** ready.close() closes nothing if the kernel knows no such fd here, and closes only once nothing can touch it. */
import { EPOLLIN, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { closing, eventfd } from './support/fds.ts';
import { module, start, until } from './support/service.ts';
import { rejection, within } from './support/within.ts';

/** Each run waits until word 0 is not 0; then it asks for close, and waits until word 1 is not 0. */
const GATED = module(`
  let words;
  export function setup(shared) { words = shared; }
  export default ready => {
    Atomics.add(words, 2, 1);
    Atomics.wait(words, 0, 0);
    ready.close();
    Atomics.wait(words, 1, 0);
    ready.post('returned');
  };
`);

function gates(): { words: Int32Array; open(i: number): void } {
  const words = new Int32Array(new SharedArrayBuffer(12));
  return {
    words,
    open: i => {
      Atomics.store(words, i, 1);
      Atomics.notify(words, i);
    },
  };
}

test('not before the handler has returned', async () => {
  const { words, open } = gates();
  const { service, messages } = await start({ handler: GATED, handlerData: words });
  const [a, b] = sys.socketpair();
  closing(b);
  await service.register(a, { events: EPOLLOUT });
  open(0);
  await until(() => service.stats().registrations === 0, 'the unregistering');
  expect(sys.write(a, Buffer.from('x'))).toBe(1); // open still
  open(1);
  await until(() => messages.length === 1, 'the return');
  expect(sys.read(b, Buffer.alloc(8))).toBe(1);
  await until(() => sys.read(b, Buffer.alloc(8)) === 0, 'the end of the stream');
});

test('an fd that was closed meanwhile, its number in use again: that one stays open', async () => {
  const { words, open } = gates();
  const { service, failures } = await start({ handler: GATED, handlerData: words });
  const [a, b] = sys.socketpair();
  closing(b);
  await service.register(a, { events: EPOLLOUT, data: 2n ** 40n });
  await until(() => Atomics.load(words, 2) === 1, 'the run');
  sys.close(a);
  const stranger = sys.eventfd(5);
  expect(stranger).toBe(a); // the number is used again
  open(0);
  open(1);
  await until(() => failures.length === 1, 'an error');
  expect(failures).toMatchObject([{ error: { code: 'ENOENT', fd: a }, event: { fd: a, data: 2n ** 40n } }]);
  const count = new BigUint64Array(1);
  expect(sys.read(stranger, count)).toBe(8);
  expect(count[0]).toBe(5n);
  sys.close(stranger);
});

test('the number in use again, and registered again: the new registration goes on', async () => {
  const { words, open } = gates();
  const { service, messages } = await start({ handler: GATED, handlerData: words });
  const [a, b] = sys.socketpair();
  closing(b);
  await service.register(a, { events: EPOLLOUT, data: 1 });
  await until(() => Atomics.load(words, 2) === 1, 'the run');
  sys.close(a);
  const stranger = sys.eventfd(0);
  expect(stranger).toBe(a);
  await service.register(stranger, { events: EPOLLIN, data: 2 });
  open(0);
  open(1);
  await until(() => messages.length === 1, 'the end of the run');
  expect(service.stats().registrations).toBe(1);
  sys.write(stranger, new BigUint64Array([1n]));
  await until(() => Atomics.load(words, 2) === 2, 'a run of the new registration');
  await until(() => service.stats().registrations === 0, 'its own close');
});

test('unregister() of the main thread comes first: close has nothing to close', async () => {
  const { words, open } = gates();
  const { service, failures } = await start({ handler: GATED, handlerData: words });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN });
  await until(() => Atomics.load(words, 2) === 1, 'the run');
  const unregistered = service.unregister(fd);
  open(0);
  open(1);
  await within(unregistered);
  expect(failures).toEqual([]); // what has ended meanwhile need not be closed
  expect(sys.read(fd, new Uint8Array(8))).toBe(8); // open
});

test('close, then unregister() of the main thread: ENOENT', async () => {
  const { words, open } = gates();
  const { service } = await start({ handler: GATED, handlerData: words });
  const fd = sys.eventfd(1);
  await service.register(fd, { events: EPOLLIN });
  open(0);
  await until(() => service.stats().registrations === 0, 'the unregistering');
  const second = rejection(service.unregister(fd));
  open(1);
  expect(await second).toMatchObject({ code: expect.stringMatching(/ENOENT|EBADF/) });
});

test('an fd that was closed after the handler had asked for it, its number in use again: that one stays open', async () => {
  const { words, open } = gates();
  const { service, messages, failures } = await start({ handler: GATED, handlerData: words });
  const [a, b] = sys.socketpair();
  closing(b);
  await service.register(a, { events: EPOLLOUT });
  open(0);
  await until(() => service.stats().registrations === 0, 'the unregistering');
  const [c, d] = sys.socketpair();
  closing(d);
  sys.close(a);
  expect(sys.dup(c)).toBe(a);
  closing(a);
  sys.close(c);
  open(1);
  await until(() => messages.length === 1, 'the return');
  // Behind the end of the old registration.
  expect(await rejection(service.unregister(a))).toMatchObject({ code: 'ENOENT', fd: a });
  expect(sys.write(a, Buffer.from('x'))).toBe(1);
  expect(sys.read(d, Buffer.alloc(8))).toBe(1);
  expect(failures).toEqual([]);
});
