/** ready.post(): a structured clone to the 'message' listeners, in order; at most 1,024 on their way, none lost. */
import { EPOLLET, EPOLLIN } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { module, start, total, until } from './support/service.ts';

async function posted(expression: string): Promise<unknown> {
  const handler = module(`export default ready => { ready.read(new Uint8Array(8)); ready.post(${expression}); };`);
  const { service, messages, failures } = await start({ handler });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length + failures.length > 0, 'a message');
  expect(failures).toEqual([]);
  return messages[0];
}

const VALUES: ReadonlyArray<readonly [expression: string, value: unknown]> = [
  ['undefined', undefined],
  ['null', null],
  ['0', 0],
  ['-0', -0],
  ['NaN', Number.NaN],
  ['"text"', 'text'],
  ['2n ** 80n', 2n ** 80n],
  ['[1, , 3]', [1, undefined, 3]],
  ['{ a: { b: new Date(7) } }', { a: { b: new Date(7) } }],
  ['new Map([[{}, new Set([1])]])', new Map([[{}, new Set([1])]])],
  ['/x/gi', /x/gi],
  ['new Float64Array([1.5])', new Float64Array([1.5])],
  ['new TypeError("t")', new TypeError('t')],
  ['{ error: 1, post: 2 }', { error: 1, post: 2 }],
];

test.each(VALUES)('%s', async (expression, value) => {
  expect(await posted(expression)).toEqual(value);
});

test('shared memory is not copied', async () => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const handler = module(`
    let words;
    export function setup(given) { words = given; }
    export default ready => { ready.read(new Uint8Array(8)); ready.post(words); words[0] = 5; };
  `);
  const { service, messages } = await start({ handler, handlerData: words });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length === 1, 'a message');
  expect(messages[0]).toBeInstanceOf(Int32Array);
  if (messages[0] instanceof Int32Array) {
    messages[0][0] = 9;
    expect(words[0]).toBe(9);
  }
});

test('what cannot be cloned is thrown: an error event that says so, and the next post goes on', async () => {
  const handler = module(`
    export default ready => {
      ready.read(new Uint8Array(8));
      ready.post('before');
      ready.post(ready.data === 1n ? () => {} : 'after');
    };
  `);
  const { service, messages, failures } = await start({ handler });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => failures.length === 1, 'an error');
  expect(failures).toMatchObject([{ error: { name: 'DataCloneError', code: 25 }, event: { fd, data: 1n } }]);
  await service.modify(fd, { events: EPOLLIN, data: 2 });
  signal(fd);
  await until(() => messages.length === 3, 'the messages');
  expect(messages).toEqual(['before', 'before', 'after']);
});

test('each thread is heard in its order, and nothing is lost', async () => {
  const handler = module(`
    import { threadId } from 'node:worker_threads';
    let n = 0;
    export default ready => {
      ready.read(new Uint8Array(8));
      for (let i = 0; i < 500; i++) ready.post([threadId, n++]);
    };
  `);
  const { service, messages } = await start({ handler, threads: 3 });
  const fds = Array.from({ length: 30 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN | EPOLLET });
  await until(() => messages.length === 30 * 500, 'all messages');
  const next = new Map<number, number>();
  for (const message of messages) {
    if (!Array.isArray(message)) throw new Error('a strange message');
    const [thread, n] = message;
    expect(n).toBe(next.get(thread) ?? 0);
    next.set(thread, n + 1);
  }
  expect(total(service, 'errors')).toBe(0);
});

test.each([1, 3])('while the main thread is busy, threads wait with 1,024 on their way (%i threads)', async threads => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const handler = module(`
    let words;
    export function setup(given) { words = given; }
    export default ready => {
      ready.read(new Uint8Array(8));
      for (let i = 0; i < 3000; i++) { ready.post(i); Atomics.add(words, 0, 1); }
      Atomics.add(words, 1, 1);
    };
  `);
  const { service, messages } = await start({ handler, handlerData: words, threads });
  for (let i = 0; i < threads; i++) await service.register(eventfd(1), { events: EPOLLIN });
  // This thread does nothing else until no post has been done for a while.
  let seen = -1;
  const limit = performance.now() + 5000;
  while ((Atomics.load(words, 0) !== seen || seen < 1000) && performance.now() < limit) {
    seen = Atomics.load(words, 0);
    Atomics.wait(words, 1, 0, 200);
  }
  const taken = messages.length; // those that were taken between the registering and here
  expect(seen).toBeLessThanOrEqual(1024 + taken);
  expect(seen).toBeGreaterThanOrEqual(1000);
  expect(Atomics.load(words, 1)).toBe(0);
  await until(() => messages.length === 3000 * threads, 'all messages');
});

test('a listener that throws is an uncaught exception, and the other messages come all the same', async () => {
  const source = `
    const handler = 'data:text/javascript,export default r => { r.read(new Uint8Array(8)); for (let i = 0; i < 100; i++) r.post(i); }';
    const service = await lib.WaitService.start({ threads: 1, handler });
    const uncaught = [], seen = [];
    process.on('uncaughtException', error => uncaught.push(error.message));
    service.on('message', value => {
      seen.push(value);
      if (seen.length === 100) setImmediate(() => { console.log(seen.length, uncaught.join()); service.close(); });
      if (value % 40 === 3) throw new Error('at ' + value);
    });
    await service.register(sys.eventfd(1), { events: EPOLLIN });
  `;
  expect(await run(source)).toEqual(ended('100 at 3,at 43,at 83\n'));
});
