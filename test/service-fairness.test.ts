/** Fairness: while runs take long, whatever has waited longer comes first. */
import { EPOLLIN } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, pipe, signal } from './support/fds.ts';
import { module, start, until } from './support/service.ts';

const OTHERS = 20;

/** The first registration holds the thread until the gate is open; the others read a byte and take 3 ms. */
const HANDLER = module(`
  const byte = new Uint8Array(1);
  const count = new Uint8Array(8);
  let gate;
  export const setup = data => { gate = data; };
  export default ready => {
    if (ready.data === 0n) {
      ready.read(count);
      Atomics.wait(gate, 0, 0, 10_000);
      return;
    }
    ready.read(byte);
    for (const until = performance.now() + 3; performance.now() < until; );
    ready.post(Number(ready.data));
  };
`);

test('a level registration that is always ready does not go before the others again and again', async () => {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const { service, messages, failures } = await start({ threads: 1, handler: HANDLER, handlerData: gate });
  await service.register(eventfd(1), { events: EPOLLIN, data: 0 });
  const pipes = Array.from({ length: 1 + OTHERS }, () => pipe());
  for (const [i, { readable, writable }] of pipes.entries()) {
    sys.write(writable, Buffer.alloc(i === 0 ? 1000 : 1));
    await service.register(readable, { events: EPOLLIN, data: i + 1 });
  }
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const others = (): number => new Set(messages).size - (messages.includes(1) ? 1 : 0);
  await until(() => others() === OTHERS, 'a run of each');
  const last = Math.max(...pipes.map((_, i) => messages.indexOf(i + 1)));
  const greedy = messages.slice(0, last).filter(data => data === 1).length;
  // Once before them all, once more if the thread was asked too early; without turns it would be every second run.
  expect(greedy).toBeLessThanOrEqual(4);
  expect(failures).toEqual([]);
});

test('one that is always ready, of runs as long as a turn of the event loop, is not all that ever runs', async () => {
  const handler = module(`
    let cells;
    export const setup = data => { cells = data; };
    export default ready => {
      if (ready.data === 1n) {
        Atomics.add(cells, 0, 1);
        for (const until = performance.now() + 15; performance.now() < until; );
      } else {
        ready.read(new Uint8Array(8));
        ready.post(Atomics.load(cells, 0));
      }
    };
  `);
  const cells = new Int32Array(new SharedArrayBuffer(4));
  const { service, messages } = await start({ threads: 1, handler, handlerData: cells });
  await service.register(eventfd(1), { events: EPOLLIN, data: 1 });
  await until(() => Atomics.load(cells, 0) > 4, 'some runs');
  const other = eventfd(0);
  await service.register(other, { events: EPOLLIN, data: 2 });
  for (let round = 1; round <= 3; round++) {
    const before = Atomics.load(cells, 0);
    signal(other);
    await until(() => messages.length === round, 'the other one');
    expect(Number(messages[round - 1]) - before).toBeLessThan(20);
  }
});
