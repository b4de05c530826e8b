/** One order for all: what is asked on the main thread comes after every request that a handler had made before. */
import { readdirSync, readFileSync } from 'node:fs';
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, pause, quiet, start, until } from './support/service.ts';

/** The mask that the kernel has for an fd, of whichever instance. */
function kernelMask(fd: number): number {
  for (const name of readdirSync('/proc/self/fdinfo')) {
    let text = '';
    try {
      text = readFileSync(`/proc/self/fdinfo/${name}`, 'latin1');
    } catch {
      continue;
    }
    const found = new RegExp(`^tfd:\\s+${fd} events:\\s+([0-9a-f]+)`, 'm').exec(text);
    if (found) return Number.parseInt(found[1] ?? '', 16);
  }
  return -1;
}

test('modify() of the main thread after ready.modify(): it lasts', async () => {
  const handler = module(`
    let flag;
    const byte = Buffer.alloc(1);
    export function setup(shared) { flag = shared; }
    export default ready => { if (ready.read(byte) > 0) { ready.modify({ events: ${EPOLLIN}, data: 1 }); Atomics.store(flag, 0, 1); } };
  `);
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const { service } = await start({ handler, handlerData: flag });
  for (let round = 0; round < 30; round++) {
    const [a, b] = socketpair();
    Atomics.store(flag, 0, 0);
    await service.register(a, { events: EPOLLIN });
    sys.write(b, Buffer.from('x'));
    while (Atomics.load(flag, 0) === 0);
    await service.modify(a, { events: EPOLLIN | EPOLLOUT, data: 2 });
    // The other one would come now, if it came later.
    await pause(10);
    expect(kernelMask(a) & EPOLLOUT).not.toBe(0);
    await service.unregister(a);
  }
});

test.each(['modify', 'wake'] as const)(
  'after ready.close(), %s() of the main thread does not run it again',
  async ask => {
    const handler = module(`
    let words;
    export function setup(shared) { words = shared; }
    export default ready => {
      Atomics.add(words, 0, 1);
      ready.close();
      Atomics.store(words, 1, 1);
      for (const until = performance.now() + 2; performance.now() < until; );
    };
  `);
    const words = new Int32Array(new SharedArrayBuffer(8));
    const { service, failures } = await start({ threads: 3, handler, handlerData: words });
    for (let round = 1; round <= 30; round++) {
      const [a, b] = sys.socketpair();
      Atomics.store(words, 1, 0);
      await service.register(a, { events: EPOLLIN });
      sys.write(b, Buffer.from('x'));
      while (Atomics.load(words, 1) === 0);
      // It has asked, and its call has returned.
      if (ask === 'wake') expect(() => service.wake(a)).toThrow(/ENOENT|EBADF/);
      else await expect(service.modify(a, { events: EPOLLIN })).rejects.toThrow(/ENOENT|EBADF/);
      sys.close(b);
      await until(() => service.stats().registrations === 0, 'its end');
      expect(Atomics.load(words, 0)).toBe(round);
    }
    expect(failures).toEqual([]);
  },
);

test('a modify() that meets a run that is about to ask for its end: no further run', { tags: ['slow'] }, async () => {
  // The main thread modifies all the time: before, while and after the handler asks.
  const handler = module(`
    let words;
    export function setup(shared) { words = shared; }
    export default ready => {
      const at = Number(ready.data);
      if (Atomics.add(words, at, 1) > 0) Atomics.add(words, 0, 1);
      ready.unregister();
    };
  `);
  const rounds = 400;
  const words = new Int32Array(new SharedArrayBuffer(4 * (rounds + 1)));
  const { service, failures } = await start({ threads: 2, handler, handlerData: words });
  for (let round = 1; round <= rounds; round++) {
    const fd = eventfd(1);
    await service.register(fd, { events: EPOLLIN, data: round });
    for (let i = 0; i < 5; i++) await service.modify(fd, { events: EPOLLIN, data: round }).catch(() => {});
    await until(() => Atomics.load(words, round) >= 1, 'its run');
  }
  await quiet();
  expect(words[0]).toBe(0);
  expect(failures).toEqual([]);
});

test('from level to oneshot: one run, and then it rests', { tags: ['slow'] }, async () => {
  const handler = module(`
    let counts;
    export function setup(shared) { counts = shared; }
    export default ready => { Atomics.add(counts, Number(ready.data), 1); };
  `);
  const counts = new Int32Array(new SharedArrayBuffer(4 * 1000));
  const { service } = await start({ threads: 2, handler, handlerData: counts });
  const [a] = socketpair();
  await service.register(a, { events: EPOLLOUT, data: 0 });
  for (let round = 1; round < 200; round++) {
    await service.modify(a, { events: EPOLLOUT | EPOLLONESHOT, data: round });
    await until(() => Atomics.load(counts, round) > 0, 'its run');
    await service.modify(a, { events: EPOLLOUT, data: 0 });
  }
  await quiet();
  expect([...counts.slice(1, 200)].filter(n => n !== 1)).toEqual([]);
});

test('a level registration whose mask toggles while both are ready is never forgotten', {
  tags: ['slow'],
}, async () => {
  const handler = module(`
    let runs;
    const byte = Buffer.alloc(1);
    export function setup(shared) { runs = shared; }
    export default ready => { if (ready.events & ${EPOLLIN} && ready.read(byte) > 0) Atomics.add(runs, 0, 1); Atomics.add(runs, 1, 1); };
  `);
  const runs = new Int32Array(new SharedArrayBuffer(8));
  const { service } = await start({ threads: 2, handler, handlerData: runs });
  const [a, b] = socketpair();
  await service.register(a, { events: EPOLLIN });
  for (let round = 1; round <= 500; round++) {
    await service.modify(a, { events: EPOLLIN | EPOLLOUT });
    const spin = performance.now() + Math.random() * 0.3;
    while (performance.now() < spin);
    if (round & 1) sys.write(b, Buffer.from('x'));
    const modified = service.modify(a, { events: EPOLLIN });
    if (!(round & 1)) sys.write(b, Buffer.from('x'));
    await modified;
    await until(() => Atomics.load(runs, 0) === round, `the byte of round ${round}`);
  }
});

test('what one registration posts from two threads comes in the order of its runs', async () => {
  const handler = module(`
    let n = 0;
    export default ready => {
      const state = new Int32Array(ready.state.buffer, ready.state.byteOffset, 1);
      ready.post(++state[0]);
      // Slow: another thread is to have the next.
      for (const until = performance.now() + 0.2; performance.now() < until; );
      if (state[0] < 500) ready.again();
    };
  `);
  const { service, messages } = await start({ threads: 3, handler, stateBytes: 8 });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | EPOLLET });
  service.wake(fd);
  await until(() => messages.length === 500, 'all of them');
  expect(messages).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  signal(fd);
});

test('what several post comes in the order of runs, though most of what they ask fails and the listener is slow', async () => {
  const RUNS = 300;
  const handler = module(`
    export default ready => {
      const state = new Int32Array(ready.state.buffer, ready.state.byteOffset, 1);
      ready.post([ready.fd, ++state[0]]);
      for (let i = 0; i < 4; i++) ready.register(ready, { events: 1 });
      if (state[0] < ${RUNS}) ready.again();
    };
  `);
  const { service, messages, failures } = await start({ threads: 3, handler, stateBytes: 8 });
  service.on('message', () => {
    for (const end = performance.now() + 0.1; performance.now() < end; );
  });
  const fds = Array.from({ length: 8 }, () => eventfd());
  for (const fd of fds) {
    await service.register(fd, { events: EPOLLIN | EPOLLET });
    service.wake(fd);
  }
  await until(() => messages.length === 8 * RUNS && failures.length === 4 * 8 * RUNS, 'all of them', 30_000);
  for (const fd of fds) {
    const own = messages.filter(message => Array.isArray(message) && message[0] === fd);
    expect(own).toEqual(Array.from({ length: RUNS }, (_, i) => [fd, i + 1]));
  }
});
