/** A thread that dies: one 'error' with the event of its run, a new thread in its place, and nothing of the rest lost. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, total, until } from './support/service.ts';
import { within } from './support/within.ts';

/** Data 1 is deadly; the others are counted. */
function deadly(statement: string): string {
  return module(`
    const hog = [];
    export default ready => {
      if (ready.data === 1n) { ${statement} }
      if (ready.data === 2n ** 40n) return; // cheap, and ready again
      ready.read(new Uint8Array(8));
      ready.post(ready.data);
    };
  `);
}

const MODES = { level: EPOLLIN, edge: (EPOLLIN | EPOLLET) >>> 0, oneshot: EPOLLIN | EPOLLONESHOT };

test.each(Object.entries(MODES))('process.exit(3) in a run (%s)', async (_mode, events) => {
  const { service, messages, failures } = await start({ handler: deadly('process.exit(3);') });
  const before = service.stats().threads.map(({ threadId }) => threadId);
  const fd = eventfd(1);
  await service.register(fd, { events, data: 1 });
  await until(() => failures.length > 0, 'an error');
  expect(failures).toMatchObject([
    { error: { message: expect.stringMatching(/3/) }, event: { fd, events: EPOLLIN, data: 1n } },
  ]);
  await until(() => service.stats().restarts === 1, 'a new thread');
  await until(() => service.stats().threads.every(({ threadId }) => threadId > 0), 'its start');
  const after = service.stats().threads.map(({ threadId }) => threadId);
  expect(after.filter(id => before.includes(id))).toHaveLength(1);
  // It rests: running it again would kill the next thread.
  signal(fd);
  await quiet();
  expect({ failures: failures.length, messages }).toEqual({ failures: 1, messages: [] });
  await service.modify(fd, { events, data: 2 });
  await until(() => messages.length === 1, 'a run after modify()');
  await within(service.unregister(fd));
});

test.each([
  ['null', /^null$/],
  ["Symbol('odd')", /odd/],
  ['Object.create(null)', /object/],
  ['{ toString: 1, valueOf: 1 }', /object/],
])('outside of a run it throws %s, which is no Error', async (thrown, message) => {
  const handler = module(`
    export default ready => {
      ready.read(new Uint8Array(8));
      setTimeout(() => { throw ${thrown}; });
    };
  `);
  const { service, failures } = await start({ handler, threads: 1 });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => failures.length > 0, 'an error');
  expect(failures).toMatchObject([{ error: { message: expect.stringMatching(message) }, event: undefined }]);
  await until(() => service.stats().restarts === 1, 'a new thread');
});

test('a death is told while every message that is answered makes another come', async () => {
  const MOST = 2000;
  const handler = module('export default ready => { if (ready.data === 1n) process.exit(3); ready.post(ready.fd); };');
  const { service, failures } = await start({ threads: 3, handler });
  let answered = 0;
  let told: number | undefined;
  service.on('message', fd => {
    if (answered === MOST || typeof fd !== 'number') return;
    answered++;
    service.modify(fd, { events: MODES.oneshot, data: 2 }).catch(() => {}); // after the end of the test
    const from = performance.now();
    while (performance.now() - from < 1);
  });
  service.on('error', () => {
    told = answered;
  });
  for (let i = 0; i < 8; i++) await service.register(eventfd(1), { events: MODES.oneshot, data: 2 });
  await until(() => answered > 50, 'some of them');
  await service.register(eventfd(1), { events: MODES.oneshot, data: 1 });
  await until(() => failures.length > 0, 'its death');
  expect(told).toBeLessThan(MOST);
});

test.each(['goes on', 'is closed'])(
  'it is told in its turn, not in one go with what waits before it; the service %s',
  async how => {
    const POSTS = 500;
    const handler = module(
      `export default ready => { for (let i = 0; i < ${POSTS}; i++) ready.post(i); process.exit(3); };`,
    );
    const { service, messages, failures } = await start({ handler });
    let row = 0;
    let longest = 0;
    setImmediate(function turn() {
      row = 0;
      if (failures.length === 0) setImmediate(turn);
    });
    let closed: Promise<void> | undefined;
    service.on('message', () => {
      longest = Math.max(longest, ++row);
      if (how === 'is closed') closed ??= service.close();
      for (const end = performance.now() + 1; performance.now() < end; );
    });
    let before: number | undefined;
    service.on('error', () => {
      before = messages.length;
    });
    const fd = eventfd(1);
    await service.register(fd, { events: EPOLLIN, data: 1 });
    await until(() => failures.length === 1, 'the error');
    expect(before).toBe(POSTS);
    expect(failures).toMatchObject([{ event: { fd, data: 1n } }]);
    expect(longest).toBeLessThan(50);
    if (how === 'goes on') await until(() => service.stats().restarts === 1, 'a new thread');
    await within(closed ?? service.close());
    expect([messages.length, failures.length]).toEqual([POSTS, 1]);
  },
);

test('out of memory', async () => {
  const handler = deadly('for (;;) hog.push(new Array(10_000).fill(ready.data));');
  const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 };
  const { service, messages, failures } = await start({ handler, resourceLimits });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => failures.length > 0, 'an error', 20_000);
  expect(failures).toMatchObject([{ error: { code: 'ERR_WORKER_OUT_OF_MEMORY' }, event: { fd, data: 1n } }]);
  await service.modify(fd, { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 1, 'a run after modify()');
});

test('an uncaught exception of a timer, outside any run', async () => {
  const handler = deadly(
    "ready.read(new Uint8Array(8)); setTimeout(() => { throw Object.assign(new RangeError('late'), { code: 'E_LATE' }); }, 20); return;",
  );
  const { service, messages, failures } = await start({ handler, threads: 1 });
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await until(() => failures.length > 0, 'an error');
  expect(failures).toMatchObject([{ error: { name: 'RangeError', message: 'late' }, event: undefined }]);
  await service.register(eventfd(1), { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 1, 'a run of the new thread');
  expect(service.stats().restarts).toBe(1);
});

test('while a promise is pending', async () => {
  const handler = deadly('setTimeout(() => process.exit(4), 20); return new Promise(() => {});');
  const { service, messages, failures } = await start({ handler, threads: 1 });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => failures.length > 0, 'an error');
  expect(failures).toMatchObject([{ event: { fd, data: 1n } }]);
  await service.modify(fd, { events: EPOLLIN, data: 2 });
  await until(() => messages.length === 1, 'a run after modify()');
});

test('what it had asked for and posted before counts', async () => {
  const other = eventfd(1);
  const handler = deadly(
    `ready.post('last words'); ready.register(${other}, { events: ${EPOLLIN}, data: 7 }); process.exit(0);`,
  );
  const { service, messages, failures } = await start({ handler });
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await until(() => messages.length === 2, 'the messages');
  expect(messages).toEqual(['last words', 7n]);
  await until(() => failures.length === 1, 'the error');
});

test.each(Object.entries(MODES))('other events that it had in hand are handled (%s)', async (_mode, events) => {
  // One thread, cheap handlers: it fetches many at a time, and dies among them.
  const { service, messages, failures } = await start({ handler: deadly('process.exit(1);'), threads: 1 });
  const fds = Array.from({ length: 60 }, () => eventfd(0));
  await Promise.all(fds.map((fd, i) => service.register(fd, { events, data: i + 10 })));
  const bomb = eventfd(0);
  await service.register(bomb, { events: EPOLLIN, data: 1 });
  const warm = eventfd(1);
  await service.register(warm, { events: EPOLLIN, data: 2n ** 40n });
  await until(() => total(service, 'handled') > 2000, 'cheap runs');
  await service.unregister(warm);
  await quiet();
  // All before the thread has woken up.
  for (const fd of fds.slice(0, 3)) signal(fd);
  signal(bomb);
  for (const fd of fds.slice(3)) signal(fd);
  await until(() => messages.length === 60, 'all others');
  await until(() => failures.length === 1, 'the error');
  await quiet();
  expect(new Set(messages).size).toBe(60);
  expect(messages).toHaveLength(60);
});

test('others go on meanwhile, and no byte is lost over many deaths', async () => {
  const { service, messages, failures } = await start({ handler: deadly('process.exit(1);'), threads: 3 });
  const [a, b] = socketpair();
  await service.register(a, { events: EPOLLIN, data: 5 });
  const bombs = Array.from({ length: 4 }, () => eventfd(0));
  for (const bomb of bombs) await service.register(bomb, { events: EPOLLIN, data: 1 });
  let written = 0;
  for (const bomb of bombs) {
    signal(bomb);
    for (let i = 0; i < 20; i++) {
      sys.write(b, Buffer.alloc(8));
      written++;
      await until(() => messages.length === written, 'the others');
    }
  }
  await until(() => failures.length === 4, 'the errors');
  expect(messages).toHaveLength(80);
});

test('unregister() of what was running when the thread died resolves', async () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const handler = module(`
    let words;
    export function setup(given) { words = given; }
    export default () => { Atomics.store(words, 0, 1); Atomics.wait(words, 1, 0); process.exit(5); };
  `);
  const { service, failures } = await start({ handler, handlerData: words });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 77 });
  await until(() => Atomics.load(words, 0) === 1, 'the run');
  const unregistered = service.unregister(fd);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await within(unregistered);
  await until(() => failures.length === 1, 'the error');
  expect(failures).toMatchObject([{ event: { fd, events: EPOLLIN, data: 77n } }]);
});
