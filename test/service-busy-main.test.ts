/** While the main thread computes, every registration goes on being handled, in every mode, by whichever threads are free. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { socketpair } from './support/fds.ts';
import { module, pause, start, until } from './support/service.ts';

/** Blocks this thread. */
function compute(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

/** Reads one byte a run, takes `ms` for it, and counts. */
const COUNTING = module(`
  let counts, ms;
  const byte = Buffer.alloc(1);
  export function setup(data) { ({ counts, ms } = data); }
  export default ready => {
    const n = ready.read(byte);
    for (const until = performance.now() + ms; performance.now() < until; );
    if (n > 0) Atomics.add(counts, Number(ready.data), 1);
  };
`);

function counters(size = 1): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * size));
}

test.each([1, 2, 3])('level, slow runs, %i threads: all 20 bytes while main computes', async threads => {
  const counts = counters();
  const { service } = await start({ threads, handler: COUNTING, handlerData: { counts, ms: 3 } });
  const [a, b] = socketpair();
  await service.register(a, { events: EPOLLIN, data: 0 });
  for (let round = 1; round <= 2; round++) {
    sys.write(b, Buffer.alloc(20));
    const limit = performance.now() + 5000;
    while (Atomics.load(counts, 0) < 20 * round && performance.now() < limit);
    expect(Atomics.load(counts, 0)).toBe(20 * round);
  }
});

test('level, 200 short runs while main works in pieces of 20 ms: no piece is waited for', async () => {
  const counts = counters();
  const { service } = await start({ threads: 2, handler: COUNTING, handlerData: { counts, ms: 0.05 } });
  const [a, b] = socketpair();
  await service.register(a, { events: EPOLLIN, data: 0 });
  sys.write(b, Buffer.alloc(200));
  let pieces = 0;
  for (; Atomics.load(counts, 0) < 200 && pieces < 100; pieces++) {
    compute(20);
    await pause(0);
  }
  expect(Atomics.load(counts, 0)).toBe(200);
  // 10 ms of work; each of 200 runs waited for a piece where main had to re-arm.
  expect(pieces).toBeLessThan(60);
});

test('many registrations, every mode: what came before and during is handled while main computes', async () => {
  const counts = counters(30);
  const { service } = await start({ threads: 2, handler: COUNTING, handlerData: { counts, ms: 1 } });
  const modes = [0, EPOLLET, EPOLLONESHOT];
  const pairs = Array.from({ length: 30 }, () => socketpair());
  for (const [i, [a]] of pairs.entries()) await service.register(a, { events: EPOLLIN | (modes[i % 3] ?? 0), data: i });
  for (const [i, [, b]] of pairs.entries()) sys.write(b, Buffer.alloc(i % 3 === 0 ? 5 : 1));
  const isDone = (): boolean => counts.every((_, i) => Atomics.load(counts, i) === (i % 3 === 0 ? 5 : 1));
  for (const limit = performance.now() + 8000; !isDone() && performance.now() < limit; );
  expect(Array.from(counts)).toEqual(Array.from(counts, (_, i) => (i % 3 === 0 ? 5 : 1)));
});

test('a thread that dies in a run while main computes: what else it had in hand is handled by the others', async () => {
  const handler = module(`
    let counts;
    const byte = Buffer.alloc(1);
    export function setup(shared) { counts = shared; }
    export default ready => {
      if (ready.data === 0n) process.exit(3);
      if (ready.read(byte) > 0) Atomics.add(counts, Number(ready.data), 1);
    };
  `);
  const counts = counters(21);
  const { service, failures } = await start({ threads: 2, handler, handlerData: counts });
  const pairs = Array.from({ length: 21 }, () => socketpair());
  for (const [i, [a]] of pairs.entries()) await service.register(a, { events: EPOLLIN, data: i });
  // Warm: batches are large by then, and the one that kills is in the middle of one.
  for (let round = 1; round <= 50; round++) {
    for (const [, b] of pairs.slice(1)) sys.write(b, Buffer.alloc(1));
    await until(() => counts.slice(1).every((_, i) => Atomics.load(counts, i + 1) === round), 'a round');
  }
  for (const [, b] of pairs.slice(1, 11)) sys.write(b, Buffer.alloc(1));
  sys.write(pairs[0]?.[1] ?? -1, Buffer.alloc(1));
  for (const [, b] of pairs.slice(11)) sys.write(b, Buffer.alloc(1));
  const isDone = (): boolean => counts.slice(1).every((_, i) => Atomics.load(counts, i + 1) === 51);
  for (const limit = performance.now() + 5000; !isDone() && performance.now() < limit; );
  expect(isDone()).toBe(true);
  await until(() => failures.length === 1 && service.stats().restarts === 1, 'the death');
  expect(failures).toMatchObject([{ error: { code: 'ERR_WORKER_EXITED' }, event: { fd: pairs[0]?.[0], data: 0n } }]);
});

test('wake() and again() while main computes', async () => {
  const handler = module(`
    let counts;
    export function setup(shared) { counts = shared; }
    export default ready => { if (Atomics.add(counts, 0, 1) + 1 < 500) ready.again(); };
  `);
  const counts = counters();
  const { service } = await start({ threads: 2, handler, handlerData: counts });
  const [a] = socketpair();
  const registration = await service.register(a, { events: EPOLLIN });
  service.wake(registration);
  for (const limit = performance.now() + 5000; Atomics.load(counts, 0) < 500 && performance.now() < limit; );
  expect(Atomics.load(counts, 0)).toBe(500);
});
