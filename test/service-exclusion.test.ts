/** One registration is never handled by two threads at once; `state` is its own, zeroed when it is registered. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, start, until } from './support/service.ts';

// A run marks its registration's state, stays a while, and tells if somebody else was there.
const DETECTOR = module(`
  const buffer = new Uint8Array(4096);
  let shared;
  export function setup(words) { shared = words; }
  export default ready => {
    const state = new Int32Array(ready.state.buffer, ready.state.byteOffset, 2);
    if (Atomics.add(state, 0, 1) !== 0) Atomics.add(shared, 0, 1);
    const n = ready.read(buffer);
    if (n > 0) Atomics.add(shared, 1, n);
    for (const end = performance.now() + 0.3; performance.now() < end; );
    Atomics.add(state, 1, 1);
    Atomics.add(shared, 2, 1);
    Atomics.sub(state, 0, 1);
    if (shared[3] !== 0) ready.modify({ events: shared[3], data: ready.data });
  };
`);

test.each([
  ['level', EPOLLIN, 0],
  ['edge', EPOLLIN | EPOLLET, 0],
  ['oneshot', EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLONESHOT],
])('%s: four threads, three registrations, a thousand writes', async (_mode, events, rearm) => {
  const shared = new Int32Array(new SharedArrayBuffer(16));
  shared[3] = rearm;
  const { service } = await start({ threads: 4, handler: DETECTOR, handlerData: shared, stateBytes: 8 });
  const pairs = Array.from({ length: 3 }, () => socketpair());
  for (const [a] of pairs) await service.register(a, { events });
  let written = 0;
  for (let i = 0; i < 1000; i++) {
    const pair = pairs[i % 3];
    if (pair && sys.write(pair[1], Buffer.alloc(1)) === 1) written++; // its buffer may be full
    if (i % 3 === 0) await new Promise(setImmediate);
  }
  await until(() => Atomics.load(shared, 1) === written, 'all bytes');
  expect(Atomics.load(shared, 0)).toBe(0);
});

const STATES = module(`
  export default ready => {
    ready.read(new Uint8Array(8));
    const { state } = ready;
    ready.post({ bytes: Array.from(state), offset: state.byteOffset, shared: state.buffer instanceof SharedArrayBuffer });
    state.fill(Number(ready.data));
  };
`);

test('state is kept from run to run, each registration has its own', async () => {
  const { service, messages } = await start({ handler: STATES, stateBytes: 3 });
  const fds = [eventfd(0), eventfd(0), eventfd(0)];
  for (const [i, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN, data: i + 1 });
  const states: number[][] = [];
  const offsets = new Set<number>();
  for (const fd of [...fds, ...fds]) {
    signal(fd);
    await until(() => messages.length === 1, 'a run');
    const message: unknown = messages.pop();
    expect(message).toMatchObject({ shared: true });
    if (typeof message === 'object' && message !== null && 'bytes' in message && 'offset' in message) {
      if (Array.isArray(message.bytes)) states.push(message.bytes);
      if (typeof message.offset === 'number') offsets.add(message.offset);
    }
  }
  const zero = [0, 0, 0];
  expect(states).toEqual([zero, zero, zero, [1, 1, 1], [2, 2, 2], [3, 3, 3]]);
  expect(offsets.size).toBe(3);
  for (const offset of offsets) expect(offset % 8).toBe(0); // aligned for any typed array
});

test('state is zeroed at register, whoever had it before', { tags: ['slow'] }, async () => {
  const { service, messages } = await start({ handler: STATES, stateBytes: 16, capacity: 1 });
  const fd = eventfd(0);
  for (let i = 0; i < 2000; i++) {
    // Through all slots of a service for one registration, and round again.
    await service.register(fd, { events: EPOLLIN, data: 255 });
    if (i % 10 === 0 || i > 1900) {
      signal(fd);
      await until(() => messages.length === 1, `run ${i}`);
      expect(messages.pop()).toMatchObject({ bytes: Array(16).fill(0) });
    }
    await service.unregister(fd);
  }
});

test('modify() leaves the state as it is', async () => {
  const { service, messages } = await start({ handler: STATES, stateBytes: 1 });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 9 });
  await until(() => messages.length === 1, 'a run');
  await service.modify(fd, { events: EPOLLIN, data: 8 });
  signal(fd);
  await until(() => messages.length === 2, 'a run');
  expect(messages[1]).toMatchObject({ bytes: [9] });
});

test('no stateBytes: an empty state', async () => {
  const handler = module(
    'export default ready => { ready.read(new Uint8Array(8)); ready.post([ready.state instanceof Uint8Array, ready.state.length]); };',
  );
  const { service, messages } = await start({ handler });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length === 1, 'a run');
  expect(messages).toEqual([[true, 0]]);
});
