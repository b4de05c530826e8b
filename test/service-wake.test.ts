/** service.wake(), ready.wake() and ready.again(): one more run, ready or not. */
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, type ServiceEvent, type WaitService } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { thrown } from './support/within.ts';

/** Posts the events of each run, and does `statements`. */
function telling(statements = ''): string {
  return module(`export default ready => { ready.post([Number(ready.data), ready.events]); ${statements} };`);
}

const MODES = [
  ['level', 0],
  ['edge', EPOLLET],
  ['oneshot', EPOLLONESHOT],
] as const;

test.each(MODES)('%s, not ready: a run with events 0', async (_, mode) => {
  const { service, messages } = await start({ handler: telling() });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | mode, data: 7 });
  service.wake(fd);
  await until(() => messages.length === 1, 'a run');
  await quiet();
  expect(messages).toEqual([[7, 0]]);
});

test.each(MODES)('%s, ready: a run with what it is ready for', async (_, mode) => {
  const { service, messages } = await start({ handler: telling('if (ready.data === 1n) ready.unregister();') });
  const [a] = socketpair();
  // In level mode it would run all the time: it ends with its first run.
  await service.register(a, { events: EPOLLOUT | EPOLLET, data: 1 });
  await until(() => messages.length === 1, 'the run of the registering');
  await until(() => service.stats().registrations === 0, 'its end');
  await service.register(a, { events: EPOLLIN | mode, data: 2 });
  await service.modify(a, { events: EPOLLOUT | (mode || EPOLLET), data: 2 });
  await until(() => messages.length === 2, 'the run of modify()');
  if (mode === EPOLLONESHOT) return;
  service.wake(a);
  await until(() => messages.length === 3, 'a run');
  expect(messages.slice(2)).toEqual([[2, EPOLLOUT]]);
});

test('wakes before the run are one', async () => {
  const cells = new Cells();
  const { service } = await start({ threads: 1, handler: STEERED, handlerData: cells.data('none') });
  const blocker = eventfd(1);
  const fd = eventfd();
  cells.shut(0);
  await service.register(blocker, { events: EPOLLIN | EPOLLET, data: 0 });
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => cells.runs(0) === 1, 'the run that blocks the thread');
  for (let i = 0; i < 100; i++) service.wake(fd);
  cells.open(0);
  await until(() => cells.runs(1) === 1, 'the run');
  await quiet();
  expect(cells.runs(1)).toBe(1);
});

test('wakes during a run are one more run after it', async () => {
  const cells = new Cells();
  const { service } = await start({ threads: 3, handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd();
  cells.shut(0);
  await service.register(fd, { events: EPOLLIN, data: 0 });
  service.wake(fd);
  await until(() => cells.runs(0) === 1, 'a run');
  for (let i = 0; i < 100; i++) service.wake(fd);
  await quiet();
  expect(cells.runs(0)).toBe(1);
  cells.open(0);
  await until(() => cells.runs(0) === 2, 'one more');
  await quiet();
  expect([cells.runs(0), cells.overlaps(0), cells.mask(0)]).toEqual([2, 0, 0]);
});

test('a resting one stays so; for a oneshot it counts as its run', async () => {
  const { service, messages, failures } = await start({
    handler: module(
      `export default ready => { ready.post(Number(ready.data)); if (ready.data === 1n) throw new Error('no'); };`,
    ),
  });
  const thrower = eventfd();
  await service.register(thrower, { events: EPOLLIN, data: 1 });
  service.wake(thrower);
  await until(() => failures.length === 1, 'an error');
  service.wake(thrower);
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | EPOLLONESHOT, data: 2 });
  service.wake(fd);
  await until(() => messages.length === 2, 'its run');
  signal(fd); // spent
  service.wake(fd);
  await quiet();
  expect(messages).toEqual([1, 2]);
  await service.modify(fd, { events: EPOLLIN | EPOLLONESHOT, data: 3 });
  await until(() => messages.length === 3, 'a run after modify()');
  expect(messages).toEqual([1, 2, 3]);
});

test.each([
  ['wake() from the main thread', 'Atomics.wait(gate, 0, 0);'],
  ['again()', 'ready.again();'],
])('%s during the run of a oneshot, which then asks for modify(): one more run', async (_name, statement) => {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    let gate; export function setup(given) { gate = given; }
    export default ready => {
      ready.post([Number(ready.data), ready.events]);
      if (ready.data === 1n) { ${statement} ready.modify({ events: ${EPOLLIN | EPOLLONESHOT}, data: 2 }); }
    };`;
  const { service, messages } = await start({ handler: module(source), handlerData: gate });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN | EPOLLONESHOT, data: 1 });
  service.wake(fd);
  await until(() => messages.length >= 1, 'its run');
  if (statement.includes('gate')) service.wake(fd);
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  await until(() => messages.length === 2, 'one more');
  service.wake(fd);
  await quiet();
  expect(messages).toEqual([
    [1, 0],
    [2, 0],
  ]);
});

test('by what register() gave, and by an event of it: that registration and no other', async () => {
  const { service, messages } = await start({ handler: telling() });
  const fd = eventfd();
  const first = await service.register(fd, { events: EPOLLIN, data: 1 });
  await service.unregister(fd);
  const second = await service.register(fd, { events: EPOLLIN, data: 2 });
  expect(second).toEqual({ fd, id: expect.any(Number) });
  expect(Number.isSafeInteger(second.id) && second.id !== first.id).toBe(true);
  expect(thrown(() => service.wake(first))).toMatchObject({ name: 'EpollError', code: 'ENOENT', fd });
  service.wake(second);
  await until(() => messages.length === 1, 'a run');
  expect(messages).toEqual([[2, 0]]);
});

test('throws for what is not registered, for wrong arguments, and after close()', async () => {
  const { service } = await start({ handler: telling() });
  const fd = eventfd();
  expect(thrown(() => service.wake(fd))).toMatchObject({ code: 'ENOENT', fd });
  expect(thrown(() => service.wake(2 ** 30))).toMatchObject({ code: 'ENOENT' });
  expect(thrown(() => service.wake(-1))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  expect(thrown(() => Reflect.apply(service.wake, service, ['3']))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await service.register(fd, { events: EPOLLIN });
  await service.close();
  expect(thrown(() => service.wake(fd))).toMatchObject({ code: 'EBADF' });
});

test('throws for an fd that was closed without unregister(), whatever has its number by now', async () => {
  const { service, messages, failures } = await start({ handler: telling() });
  for (const open of [() => sys.eventfd(), () => sys.timerfd(1e6), () => sys.pipe().readable]) {
    const fd = open();
    const registration = await service.register(fd, { events: EPOLLIN });
    sys.close(fd);
    expect(thrown(() => service.wake(registration))).toMatchObject({ name: 'EpollError', code: 'ENOENT', fd });
    expect(thrown(() => service.wake(fd))).toMatchObject({ code: 'ENOENT', fd });
    expect(service.stats().registrations).toBe(0);
  }
  const [a] = socketpair();
  const [b] = socketpair();
  const fd = sys.dup(a);
  await service.register(fd, { events: EPOLLIN });
  sys.close(fd);
  expect(sys.dup(b)).toBe(fd);
  expect(thrown(() => service.wake(fd))).toMatchObject({ code: 'ENOENT', fd });
  sys.close(fd);
  await quiet();
  expect({ messages, failures }).toEqual({ messages: [], failures: [] });
});

test('again(): one more run after the others had their turn', async () => {
  const { service, messages } = await start({
    threads: 1,
    handler: module(`
      let left = 3;
      export default ready => { ready.post(Number(ready.data)); if (ready.data === 1n && left-- > 0) ready.again(); };
    `),
  });
  const [one, two] = [eventfd(), eventfd()];
  await service.register(one, { events: EPOLLIN, data: 1 });
  await service.register(two, { events: EPOLLIN | EPOLLET, data: 2 });
  service.wake(one);
  await until(() => messages.length === 4, 'four runs');
  signal(two);
  await until(() => messages.length === 5, 'the other');
  await quiet();
  expect(messages).toEqual([1, 1, 1, 1, 2]);
});

test('again() for ever starves nobody', async () => {
  const { service, messages } = await start({
    threads: 1,
    handler: module(`export default ready => { if (ready.data === 1n) ready.again(); else ready.post(0); };`),
  });
  const [one, two] = [eventfd(), eventfd()];
  await service.register(one, { events: EPOLLIN, data: 1 });
  await service.register(two, { events: EPOLLIN | EPOLLET, data: 2 });
  service.wake(one);
  for (let i = 1; i <= 50; i++) {
    signal(two);
    await until(() => messages.length === i, 'the other');
  }
});

test('ready.wake(): another registration, by its id; nothing for one that has ended, or for no id of one', async () => {
  const { service, messages, failures } = await start({
    handler: module(`
      export default ready => {
        if (ready.data !== 1n) { ready.post([Number(ready.data), ready.events]); return; }
        const ids = new Float64Array(3);
        ready.read(ids);
        for (const id of ids) ready.wake({ id });
        ready.post('woken');
      };
    `),
  });
  const [a, b] = socketpair();
  const [other, ended] = [eventfd(), eventfd()];
  await service.register(a, { events: EPOLLIN | EPOLLET, data: 1 });
  const target = await service.register(other, { events: EPOLLIN, data: 2 });
  const gone = await service.register(ended, { events: EPOLLIN, data: 3 });
  await service.unregister(gone);
  sys.write(b, new Float64Array([gone.id, 2 ** 53 - 1, target.id]));
  await until(() => messages.length === 2, 'both');
  await quiet();
  expect(messages).toEqual(expect.arrayContaining(['woken', [2, 0]]));
  expect(messages).toHaveLength(2);
  expect(failures).toEqual([]);
});

test('wrong targets of ready.wake() throw, and cost nothing', async () => {
  const { service, messages } = await start({
    handler: module(`
      export default ready => {
        const codes = [undefined, null, 3, {}, { id: '3' }, { id: -1 }, { id: 1.5 }, { id: NaN }].map(target => {
          try { ready.wake(target); return 'taken'; } catch (error) { return error.code; }
        });
        ready.post(codes);
      };
    `),
  });
  const fd = eventfd();
  await service.register(fd, { events: EPOLLIN });
  service.wake(fd);
  await until(() => messages.length === 1, 'the codes');
  const [type, range] = ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE'];
  expect(messages).toEqual([[type, type, type, type, type, range, range, range]]);
});

async function oneEvent(service: WaitService): Promise<ServiceEvent> {
  for await (const event of service) return event;
  throw new Error('closed');
}

test('without a handler: one more event, with events 0 if it is not ready', async () => {
  const { service } = await start();
  const fd = eventfd();
  const { id } = await service.register(fd, { events: EPOLLIN, data: 5 });
  const registration = { fd, id };
  service.wake(registration);
  expect(await oneEvent(service)).toEqual({ fd, id, events: 0, data: 5n });
  const events: ServiceEvent[] = [];
  service.on('event', event => events.push(event));
  service.wake(fd);
  await until(() => events.length === 1, 'an event');
  signal(fd);
  await until(() => events.length >= 2, 'another');
  service.off('event', () => {});
  expect(events.slice(0, 2)).toEqual([
    { fd, id, events: 0, data: 5n },
    { fd, id, events: EPOLLIN, data: 5n },
  ]);
});

test('100,000 wakes of 100 registrations from both sides: each is followed by a run', async () => {
  const handler = module(`
    let words;
    export function setup(shared) { words = shared; }
    export default ready => {
      const at = Number(ready.data) * 2;
      // What was asked before this run began is seen by it.
      Atomics.store(words, at + 1, Atomics.load(words, at));
    };
  `);
  const words = new Int32Array(new SharedArrayBuffer(4 * 200));
  const { service } = await start({ threads: 3, handler, handlerData: words });
  const fds = Array.from({ length: 100 }, () => eventfd());
  for (const [i, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN, data: i });
  for (let i = 0; i < 100_000; i++) {
    Atomics.add(words, (i % 100) * 2, 1);
    service.wake(fds[i % 100] ?? -1);
  }
  await until(() => fds.every((_, i) => Atomics.load(words, 2 * i + 1) === 1000), 'the last wake of each');
  expect(fds.map((_, i) => words[2 * i + 1])).toEqual(fds.map(() => 1000));
});
