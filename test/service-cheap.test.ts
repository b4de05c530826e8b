/**
 * Cheap runs, of which one thread takes many at a time: nothing is lost by that, nobody waits for long, no thread looks in vain.
 *
 * @module-tag slow
 */
import { EPOLLET, EPOLLIN } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { module, pause, start, total, until } from './support/service.ts';

/** Each run makes the next registration ready; run STUCK_AT of a relay blocks until the gate is open. */
const HANDLER = module(`
  const count = new BigUint64Array(1), one = new BigUint64Array([1n]);
  let cells, fds, sys;
  // Each relay has 50 registrations of its own, so that no two meet.
  const next = i => i - (i % 50) + ((i + 7) % 50);
  export const setup = async data => {
    ({ cells, fds } = data);
    sys = await import(data.sys);
  };
  export default ready => {
    ready.read(count);
    if (ready.data === 1000n) {
      Atomics.add(cells, 3, 1);
      Atomics.wait(cells, 2, 0, 10_000);
      return;
    }
    const left = Atomics.sub(cells, 0, 1) - 1;
    if (left > 0) sys.write(fds[next(Number(ready.data))], one);
    else Atomics.add(cells, 1, 1);
  };
`);

const RELAYS = 3;

test.each([2, 4])('%i threads: relays of cheap runs, and now and then one that is stuck', async threads => {
  const cells = new Int32Array(new SharedArrayBuffer(16));
  const fds = Array.from({ length: 50 * RELAYS }, () => eventfd());
  const stuck = eventfd();
  const sys = import.meta.resolve('epoll-pool/sys');
  const { service, failures } = await start({ threads, handler: HANDLER, handlerData: { cells, fds, sys } });
  for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN | EPOLLET, data });
  await service.register(stuck, { events: EPOLLIN | EPOLLET, data: 1000 });
  const times: number[] = [];
  let runs = 0;
  for (let round = 1; round <= 8; round++) {
    // Long enough for all threads to know that runs are cheap.
    Atomics.store(cells, 0, 20_000);
    runs += 20_000 + RELAYS - 1;
    for (let i = 0; i < RELAYS; i++) signal(fds[50 * i] ?? -1);
    await until(() => Atomics.load(cells, 0) < 5000, 'most of the relay');
    signal(stuck);
    runs++;
    await until(() => Atomics.load(cells, 3) === round, 'the run that is stuck');
    const from = performance.now();
    await until(() => Atomics.load(cells, 0) <= 1 - RELAYS, 'the rest of the relay');
    times.push(performance.now() - from);
    Atomics.store(cells, 2, 1);
    Atomics.notify(cells, 2);
    await until(() => total(service, 'handled') === runs, 'the end of all runs');
    Atomics.store(cells, 2, 0);
    await pause(5);
  }
  // The others go on within milliseconds, and do not wait for a slice of epoll_wait to end.
  expect(times.sort((a, b) => a - b)[4]).toBeLessThan(150);
  expect(failures).toEqual([]);
});

/** Answers a ping in cells[0]; what has data 1000 says so in cells[1] and then holds its thread until cells[2] is 1. */
const PONG = (hold: string): string =>
  module(`
  const count = new BigUint64Array(1);
  let cells;
  export const setup = data => { cells = data; };
  export default ready => {
    ready.read(count);
    if (ready.data === 1000n) {
      Atomics.add(cells, 1, 1);
      ${hold}
      return;
    }
    Atomics.add(cells, 0, 1);
  };
`);

function spin(ms: number, done: () => boolean): boolean {
  for (const limit = performance.now() + ms; performance.now() < limit; ) if (done()) return true;
  return done();
}

test.each([
  ['stuck', 'Atomics.wait(cells, 2, 0, 20_000);'],
  [
    'waiting for its promise',
    'return new Promise(done => setInterval(() => Atomics.load(cells, 2) === 1 && done(), 5).unref());',
  ],
])('the only thread that is free answers as soon as one alone, while the other is %s', async (_, hold) => {
  const handler = PONG(hold);
  const ponging = async (threads: number) => {
    const cells = new Int32Array(new SharedArrayBuffer(12));
    const { service, failures } = await start({ threads, handler, handlerData: cells });
    const ping = eventfd();
    await service.register(ping, { events: EPOLLIN | EPOLLET, data: 1 });
    return { cells, service, failures, ping, soon: 0 };
  };
  const [alone, beside] = [await ponging(1), await ponging(2)];
  const held = eventfd();
  await beside.service.register(held, { events: EPOLLIN | EPOLLET, data: 1000 });
  signal(held);
  await until(() => Atomics.load(beside.cells, 1) === 1, 'the run that holds its thread');
  const warmup = 500;
  const rounds = 1000;
  for (let i = 1; i <= warmup + rounds; i++) {
    for (const one of [alone, beside]) {
      const from = performance.now();
      signal(one.ping);
      expect(spin(5000, () => Atomics.load(one.cells, 0) === i)).toBe(true);
      if (i > warmup && performance.now() - from < 0.5) one.soon++;
    }
    // Long enough for a thread to look once more, and find nothing.
    spin(0.1, () => false);
  }
  Atomics.store(beside.cells, 2, 1);
  Atomics.notify(beside.cells, 2);
  // If it stayed away for a millisecond whenever it finds nothing, half of the answers would be late.
  expect(beside.soon / alone.soon).toBeGreaterThan(0.75);
  expect([...alone.failures, ...beside.failures]).toEqual([]);
});

test('where nothing more comes soon, a thread that has found nothing looks once or twice and sleeps', async () => {
  const cells = new Int32Array(new SharedArrayBuffer(12));
  const { service, failures } = await start({ threads: 2, handler: PONG(''), handlerData: cells });
  const ping = eventfd();
  await service.register(ping, { events: EPOLLIN | EPOLLET, data: 1 });
  const exchange = async (i: number) => {
    signal(ping);
    expect(spin(5000, () => Atomics.load(cells, 0) === i)).toBe(true);
    await pause(1);
  };
  for (let i = 1; i <= 100; i++) await exchange(i);
  const before = total(service, 'waits');
  for (let i = 101; i <= 400; i++) await exchange(i);
  // If it went on looking, as it does under load, it would be three more for each.
  expect((total(service, 'waits') - before) / 300).toBeLessThan(3);
  expect(failures).toEqual([]);
});
