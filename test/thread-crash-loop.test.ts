/**
 * Threads that keep dying are replaced ever more slowly; the service stays, and recovers when they stop dying.
 *
 * @module-tag slow
 */
import { EPOLLIN } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { module, pause, start, until } from './support/service.ts';
import { within } from './support/within.ts';

test('a setup that fails in every new thread', async () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const handler = module(`
    let words;
    export function setup(given) {
      words = given;
      if (Atomics.load(words, 0) === 1) { Atomics.add(words, 1, 1); throw Object.assign(new Error('setup'), { code: 'E_SETUP' }); }
    }
    export default ready => {
      ready.read(new Uint8Array(8));
      if (ready.data === 1n) process.exit(1);
      ready.post('alive');
    };
  `);
  const { service, messages, failures } = await start({ threads: 1, handler, handlerData: words });
  Atomics.store(words, 0, 1);
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await until(() => Atomics.load(words, 1) >= 3, 'three attempts');
  await pause(1000);
  expect(Atomics.load(words, 1)).toBeLessThan(8); // at 0, 100, 300, 700, 1500 ms …
  expect(failures.slice(1).map(({ error }) => Reflect.get(error, 'code'))).toContain('E_SETUP');
  // Requests are carried out, though no thread waits; and they are seen to once one does.
  await within(service.register(eventfd(1), { events: EPOLLIN, data: 2 }));
  Atomics.store(words, 0, 0);
  await until(() => messages.length === 1, 'a thread that lives', 15_000);
  expect(messages).toEqual(['alive']);
});

test.each(['process.exit(2)', 'setImmediate(() => { throw new Error("x"); }); await new Promise(() => {})'])(
  'threads that die in setup: %s',
  async statement => {
    const words = new Int32Array(new SharedArrayBuffer(8));
    const handler = module(`
      export async function setup(words) { if (Atomics.load(words, 0) === 1) { Atomics.add(words, 1, 1); ${statement}; } }
      export default ready => {
        ready.read(new Uint8Array(8));
        if (ready.data === 1n) process.exit(1);
        ready.post('alive');
      };
    `);
    const { service, messages, failures } = await start({ threads: 2, handler, handlerData: words });
    Atomics.store(words, 0, 1);
    for (let i = 0; i < 2; i++) await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
    await until(() => Atomics.load(words, 1) >= 4, 'attempts');
    Atomics.store(words, 0, 0);
    await service.register(eventfd(1), { events: EPOLLIN, data: 2 });
    await until(() => messages.length === 1, 'a thread that lives', 15_000);
    expect(failures.length).toBeGreaterThanOrEqual(4);
  },
);

test('close() during the pause between two attempts', async () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const handler = module(`
    export function setup(words) { if (Atomics.add(words, 0, 1) > 0) throw new Error('again'); }
    export default () => process.exit(1);
  `);
  const { service } = await start({ threads: 1, handler, handlerData: words });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => Atomics.load(words, 0) >= 3, 'attempts');
  await within(service.close());
  const attempts = Atomics.load(words, 0);
  await pause(700);
  expect(Atomics.load(words, 0)).toBe(attempts);
});
