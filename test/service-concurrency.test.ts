/** A handler's promise holds its own registration only; a thread's own event loop is served while it waits. */
import { EPOLLET, EPOLLIN } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, pause, quiet, start, until } from './support/service.ts';
import { rejection } from './support/within.ts';

/** Awaits `ms`, then answers; counts how many are under way at once, at most, in this thread. */
const WAITING = module(`
  import { setTimeout as sleep } from 'node:timers/promises';
  let words, ms, under = 0;
  const byte = Buffer.alloc(1);
  export function setup(data) { ({ words, ms } = data); }
  export default async ready => {
    const n = ready.read(byte);
    if (n < 1) return;
    under++;
    for (let most = Atomics.load(words, 0); under > most; most = Atomics.load(words, 0)) Atomics.compareExchange(words, 0, most, under);
    await sleep(ms);
    under--;
    ready.write(byte);
  };
`);

async function answers(threads: number, concurrency: number | undefined, connections: number): Promise<number> {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const { service, failures } = await start({ threads, handler: WAITING, handlerData: { words, ms: 20 }, concurrency });
  const pairs = Array.from({ length: connections }, () => socketpair());
  for (const [a] of pairs) await service.register(a, { events: EPOLLIN });
  const byte = Buffer.alloc(1);
  for (let round = 0; round < 3; round++) {
    for (const [, b] of pairs) sys.write(b, byte);
    const left = new Set(pairs.map(([, b]) => b));
    await until(() => {
      for (const b of left) if (sys.read(b, byte) === 1) left.delete(b);
      return left.size === 0;
    }, 'all answers');
  }
  expect(failures).toEqual([]);
  return Atomics.load(words, 0);
}

test('50 connections that await 20 ms each, one thread: all at once', async () => {
  expect(await answers(1, undefined, 50)).toBe(50);
});

test('64 at a time by default', async () => {
  expect(await answers(1, undefined, 100)).toBe(64);
});

test('concurrency: 5 of each thread', async () => {
  expect(await answers(2, 5, 30)).toBe(5);
});

test('concurrency 1: a thread waits for each', async () => {
  expect(await answers(2, 1, 6)).toBe(1);
});

test.each([0, -1, 1.5, Number.NaN, 65_537, '3'])('concurrency %s is refused', async concurrency => {
  const options = { handler: WAITING, concurrency: concurrency as number };
  expect(await rejection(start(options))).toMatchObject({
    code: expect.stringMatching(/^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)$/),
  });
});

test('one registration has no second run while its promise is pending, whoever asks', async () => {
  const handler = module(`
    import { setTimeout as sleep } from 'node:timers/promises';
    let words;
    export function setup(shared) { words = shared; }
    export default async ready => {
      if (Atomics.add(words, 0, 1) !== 0) Atomics.add(words, 1, 1);
      ready.read(new Uint8Array(8));
      await sleep(2);
      Atomics.sub(words, 0, 1);
      Atomics.add(words, 2, 1);
    };
  `);
  const words = new Int32Array(new SharedArrayBuffer(12));
  const { service } = await start({ threads: 3, handler, handlerData: words });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  for (let i = 0; Atomics.load(words, 2) < 20 && i < 100_000; i++) {
    if (i % 3 === 0) signal(fd);
    else if (i % 3 === 1) service.wake(fd);
    else await service.modify(fd, { events: EPOLLIN | EPOLLET });
    if (i % 10 === 0) await pause(1);
  }
  expect(words[2]).toBeGreaterThanOrEqual(20);
  expect(words[1]).toBe(0);
});

test('a thread that dies with promises pending: an error for each, and the others go on', async () => {
  const handler = module(`
    export default ready => {
      if (ready.data === 0n) { setTimeout(() => process.exit(4), 20); return new Promise(() => {}); }
      if (ready.data < 5n) return new Promise(() => {});
      ready.read(new Uint8Array(8));
      ready.post(Number(ready.data));
    };
  `);
  const { service, failures, messages } = await start({ threads: 1, handler });
  const fds = Array.from({ length: 6 }, () => eventfd());
  for (const [i, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN, data: i });
  for (const fd of fds.slice(1)) signal(fd);
  await until(() => messages.length === 1, 'the sixth');
  signal(fds[0] ?? -1);
  await until(() => failures.length === 5, 'an error for each of the five');
  expect(failures.map(({ event }) => Number(event?.data)).sort()).toEqual([0, 1, 2, 3, 4]);
  expect(failures.every(({ error }) => 'code' in error && error.code === 'ERR_WORKER_EXITED')).toBe(true);
  await until(() => service.stats().restarts === 1, 'a new thread');
  signal(fds[5] ?? -1);
  await until(() => messages.length === 2, 'the sixth, again');
  // They rest until modify().
  await service.modify(fds[1] ?? -1, { events: EPOLLIN, data: 9 });
  await until(() => messages.length === 3, 'the second, modified');
  expect(messages).toEqual([5, 5, 9]);
});

test('close() waits for pending promises, and begins no further run', async () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const handler = module(`
    import { setTimeout as sleep } from 'node:timers/promises';
    let words;
    export function setup(shared) { words = shared; }
    export default async ready => { Atomics.add(words, 0, 1); await sleep(200); Atomics.add(words, 1, 1); };
  `);
  const { service } = await start({ threads: 2, handler, handlerData: words });
  for (let i = 0; i < 10; i++) await service.register(eventfd(1), { events: EPOLLIN | EPOLLET });
  await until(() => Atomics.load(words, 0) === 10, 'ten runs');
  await service.close();
  expect([...words]).toEqual([10, 10]);
});

test('unregister() waits for the promise of its own run, and for no other', async () => {
  const handler = module(`
    const pending = [];
    export default ready => ready.data === 9n ? pending.shift()?.() : new Promise(resolve => pending.push(resolve));
  `);
  const { service } = await start({ threads: 1, handler });
  const [one, two, opener] = [eventfd(1), eventfd(1), eventfd()];
  await service.register(one, { events: EPOLLIN | EPOLLET, data: 1 });
  await until(() => service.stats().threads[0]?.handled === 1, 'the first run');
  await service.register(two, { events: EPOLLIN | EPOLLET, data: 2 });
  await service.register(opener, { events: EPOLLIN | EPOLLET, data: 9 });
  await until(() => service.stats().threads[0]?.handled === 2, 'the second run');
  let ended = 0;
  const unregistered = service.unregister(one).then(() => ended++);
  await quiet();
  expect(ended).toBe(0);
  signal(opener);
  await unregistered;
  expect(service.stats().registrations).toBe(2);
  signal(opener);
});

test('timers of a handler module are on time while its thread waits', async () => {
  const handler = module(`
    let words;
    export function setup(shared) {
      words = shared;
      let last = performance.now();
      setInterval(() => {
        const late = performance.now() - last - 20;
        last = performance.now();
        Atomics.add(words, 0, 1);
        if (late > 100) Atomics.add(words, 1, 1);
      }, 20);
    }
    export default ready => {};
  `);
  const words = new Int32Array(new SharedArrayBuffer(8));
  await start({ threads: 1, handler, handlerData: words });
  await until(() => Atomics.load(words, 0) >= 25, '25 ticks of 20 ms', 5000);
  // A slice of the wait, half a second, was how late they came.
  expect(words[1] ?? 0).toBeLessThan(5);
});

test('microtasks and ticks that a run leaves behind come before its thread sleeps', async () => {
  const handler = module(`
    const bytes = new Uint8Array(8);
    let took;
    export function setup(data) { took = data; }
    const leave = async (i, since) => {
      for (let hop = 0; hop < 20; hop++) await undefined;
      process.nextTick(() => { took[i] = performance.now() - since; });
    };
    export default ready => { ready.read(bytes); void leave(Number(bytes[0]) - 1, performance.now()); };
  `);
  const took = new Float64Array(new SharedArrayBuffer(8 * 20));
  const { service, failures } = await start({ threads: 1, handler, handlerData: took });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN });
  for (const i of took.keys()) {
    sys.write(fd, new BigUint64Array([BigInt(i + 1)]));
    await until(() => (took[i] ?? 0) > 0, `what run ${i} has left`);
  }
  // After a sleep each of them would take 20 ms; a machine that stands still does not do so every time.
  expect(Math.min(...took)).toBeLessThan(10);
  expect(failures).toEqual([]);
});
