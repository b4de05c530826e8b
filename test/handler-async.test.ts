/** A handler may return a promise: its run lasts until the promise settles, and other fds go on meanwhile. */
import { EPOLLET, EPOLLIN } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, total, until } from './support/service.ts';
import { within } from './support/within.ts';

test('the run lasts until the promise settles: no second run beside it, an edge costs one more', async () => {
  const handler = module(`
    export default async ready => {
      ready.post('begin');
      await new Promise(resolve => setTimeout(resolve, 100));
      ready.post('end');
    };
  `);
  const { service, messages } = await start({ handler, threads: 3 });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  await until(() => messages.length === 1, 'the first run');
  signal(fd);
  signal(fd);
  await until(() => messages.length === 4, 'the second run');
  await quiet();
  expect(messages).toEqual(['begin', 'end', 'begin', 'end']);
});

test('level: partial reads, over awaits', async () => {
  const handler = module(`
    let sum = 0;
    export default async ready => {
      await null;
      const n = ready.read(new Uint8Array(7));
      await new Promise(setImmediate);
      ready.post(n);
    };
  `);
  const { service, messages } = await start({ handler });
  const [a, b] = socketpair();
  sys.write(b, Buffer.alloc(100));
  await service.register(a, { events: EPOLLIN });
  await until(() => messages.length === 15, 'all of it');
  await quiet();
  expect(messages).toEqual([...Array(14).fill(7), 2]);
});

test.each([
  ['a thenable', '({ then(resolve) { setTimeout(resolve, 20); } })', undefined],
  ['a thenable that rejects', "({ then(_, reject) { reject(new RangeError('no')); } })", 'no'],
  ['a thenable that throws', "({ then() { throw new RangeError('no'); } })", 'no'],
  ['a function with a then', "Object.assign(() => {}, { then(_, reject) { reject(new Error('no')); } })", 'no'],
  ['a then getter that throws', "({ get then() { throw new Error('no'); } })", 'no'],
  ['a rejected promise', "Promise.reject(new RangeError('no'))", 'no'],
  ['a promise of another promise', "Promise.resolve(Promise.reject(new Error('no')))", 'no'],
  ['something else', '({ then: 5 })', undefined],
  ['a number', '5', undefined],
])('%s', async (_what, expression, message) => {
  const handler = module(`
    export default ready => { ready.read(new Uint8Array(8)); if (ready.data === 1n) return ${expression}; ready.post('next'); };
  `);
  const { service, messages, failures } = await start({ handler, threads: 1 });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 1 });
  if (message === undefined) await until(() => total(service, 'handled') === 1, 'the run');
  else await until(() => failures.length === 1, 'an error');
  // The thread goes on with others.
  await service.register(eventfd(1), { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 1, 'the next');
  expect(failures.map(({ error, event }) => [error.message, event?.fd])).toEqual(message ? [[message, fd]] : []);
});

test('other threads go on while a promise is pending, with what was behind it too', async () => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const handler = module(`
    let words;
    export function setup(given) { words = given; }
    export default async ready => {
      if (ready.data === 0n) return Atomics.waitAsync(words, 0, 0).value;
      ready.read(new Uint8Array(8));
      ready.post(ready.data);
    };
  `);
  const { service, messages } = await start({ handler, handlerData: words, threads: 2 });
  const fds = Array.from({ length: 50 }, () => eventfd(1));
  await Promise.all([
    service.register(eventfd(1), { events: EPOLLIN | EPOLLET, data: 0 }),
    ...fds.map((fd, i) => service.register(fd, { events: EPOLLIN, data: i + 1 })),
  ]);
  for (let round = 1; round <= 3; round++) {
    await until(() => messages.length === 50 * round, `round ${round}`);
    for (const fd of fds) signal(fd);
  }
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  await within(service.close());
});

test('timers, I/O and output of a thread go on between runs', async () => {
  const handler = module(`
    setInterval(() => { ticks++; }, 5);
    let ticks = 0;
    export default ready => { ready.read(new Uint8Array(8)); ready.post(ticks); };
  `);
  const { service, messages } = await start({ handler, threads: 1 });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN });
  // Whether the thread is idle or busy, its event loop has its turns.
  await until(() => {
    signal(fd);
    return Number(messages.at(-1)) > 5;
  }, 'ticks');
});

test.each([
  ['a constructor that throws', `Object.defineProperty(promise, 'constructor', { get() { throw new Error('no'); } });`],
  ['a then() that throws', `promise.then = () => { throw new Error('no'); };`],
  ['a then() that answers twice', 'promise.then = done => { done(); done(); };'],
])('a promise with %s: its run ends once, and the thread goes on', async (_, oddity) => {
  const handler = module(`
    export default ready => {
      ready.read(new Uint8Array(8));
      ready.post(ready.fd);
      const promise = Promise.resolve();
      ${oddity}
      return promise;
    };
  `);
  const { service, messages } = await start({ handler, threads: 1, concurrency: 2 });
  const fds = Array.from({ length: 6 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN });
  await until(() => messages.length === fds.length, 'a run of each');
  await within(service.close());
  expect(total(service, 'handled')).toBe(fds.length);
});
