/** close(): no further handler starts, running ones end first, threads are joined, fds closed. */
import { EPOLLET, EPOLLIN, WaitService } from 'epoll-pool';
import { expect, test } from 'vitest';
import { countFds, countThreads, eventfd, signal, threadsDownTo } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { module, quiet, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { rejection, within } from './support/within.ts';

const IN = { events: EPOLLIN };

test('fifty services, one after another, leave no fd and no thread', { timeout: 120_000, tags: ['slow'] }, async () => {
  const cells = new Cells();
  const once = async (): Promise<void> => {
    const service = await WaitService.start({ threads: 2, handler: STEERED, handlerData: cells.data('all') });
    const fd = eventfd(1);
    await service.register(fd, { ...IN, data: 0 });
    await service.unregister(fd);
    await service.close();
  };
  await once(); // what the first one loads stays
  const before = { fds: countFds(), threads: countThreads() };
  for (let i = 0; i < 50; i++) await once();
  const opened = 50; // the eventfds, which the test closes in the end
  expect(countFds() - opened).toBe(before.fds);
  await threadsDownTo(before.threads);
});

test('running handlers end first, and none starts after', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fds = Array.from({ length: 20 }, () => eventfd(0));
  cells.shut(0);
  for (const [data, fd] of fds.entries()) await service.register(fd, { events: EPOLLIN | EPOLLET, data });
  signal(fds[0] ?? -1);
  await until(() => cells.runs(0) === 1, 'a run');
  let closed = false;
  const closing = service.close().then(() => {
    closed = true;
  });
  expect(service.closed).toBe(true);
  for (const fd of fds) signal(fd);
  await quiet();
  expect(closed).toBe(false);
  cells.open(0);
  await within(closing);
  expect(fds.map((_, i) => [cells.runs(i), cells.ends(i)])).toEqual(fds.map((_, i) => (i === 0 ? [1, 1] : [0, 0])));
});

test('it waits for a promise, and for what the handler asks last', async () => {
  const handler = module(`
    export default async ready => {
      ready.post('begin');
      await new Promise(resolve => setTimeout(resolve, 100));
      ready.post('end');
      ready.unregister();
    };
  `);
  const { service, messages } = await start({ handler });
  await service.register(eventfd(1), IN);
  await until(() => messages.length === 1, 'the run');
  await within(service.close());
  expect(messages).toEqual(['begin', 'end']);
  expect(service.stats().registrations).toBe(0);
});

test('idempotent, by any of its names', async () => {
  const { service } = await start();
  const first = service.close();
  await within(Promise.all([first, service.close(), service.close({ timeout: 10 }), service[Symbol.asyncDispose]()]));
  await within(service.close());
  expect(service.closed).toBe(true);
});

test('use after close: EBADF, and stats() stays', async () => {
  const { service } = await start();
  const fd = eventfd(0);
  await service.register(fd, IN);
  const closing = service.close();
  for (let i = 0; i < 2; i++) {
    for (const method of ['register', 'modify', 'unregister'] as const) {
      expect(await rejection(service[method](fd, IN))).toMatchObject({ name: 'EpollError', code: 'EBADF', errno: -9 });
    }
    await closing;
  }
  expect(service.ref().unref()).toBe(service);
  expect(service.stats().threads).toHaveLength(2);
  expect(await rejection(service.register(-1, IN))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
});

test.each([
  ['for (;;);', ''],
  ['Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);', ''],
  ['return new Promise(() => {});', ''],
  ['for (let i = 0; ; i++) ready.post(i);', ''],
])('a timeout ends handlers that do not: %s', async statement => {
  const { service } = await start({ handler: module(`export default ready => { ready.post(0); ${statement} };`) });
  await service.register(eventfd(1), IN);
  await within(new Promise(resolve => service.once('message', resolve)));
  const from = performance.now();
  await within(service.close({ timeout: 60 }));
  expect(performance.now() - from).toBeGreaterThanOrEqual(59);
});

test.each([
  ['posts', 'ready.post(1);', 'message'],
  ['asks for what fails', 'ready.register(ready, { events: 1 });', 'error'],
])('a timeout ends a handler that %s faster than listeners take it', async (_what, statement, name) => {
  const handler = module(`export default ready => { for (;;) { ${statement} } };`);
  const source = `
    const service = await lib.WaitService.start({ threads: 2, handler: ${JSON.stringify(handler)} });
    let told = 0;
    service.on('error', () => {});
    service.on(${JSON.stringify(name)}, () => { told++; for (const end = performance.now() + 0.2; performance.now() < end; ); });
    for (let i = 0; i < 2; i++) await service.register(sys.eventfd(1), { events: EPOLLIN });
    while (told < 10) await new Promise(resolve => setTimeout(resolve, 5));
    await service.close({ timeout: 50 });
    console.log('closed');
  `;
  expect(await run(source)).toEqual(ended('closed\n'));
});

test('a second close() can bring a timeout', async () => {
  const { service } = await start({ handler: module('export default ready => { ready.post(0); for (;;); };') });
  await service.register(eventfd(1), IN);
  await within(new Promise(resolve => service.once('message', resolve)));
  const first = service.close();
  await quiet();
  await within(service.close({ timeout: 0 }));
  await within(first);
});

test('without one it waits, and a timeout that is long enough changes nothing', async () => {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  cells.shut(0);
  await service.register(eventfd(1), { ...IN, data: 0 });
  await until(() => cells.runs(0) === 1, 'a run');
  const closing = service.close({ timeout: 60_000 });
  await quiet();
  cells.open(0);
  await within(closing);
  expect(cells.ends(0)).toBe(1);
});

test.each([
  ['5', 'ERR_INVALID_ARG_TYPE'],
  [null, 'ERR_INVALID_ARG_TYPE'],
  [-2, 'ERR_OUT_OF_RANGE'],
  [Number.NaN, 'ERR_OUT_OF_RANGE'],
])('timeout %j is refused, and nothing is closed', async (timeout, code) => {
  const { service } = await start();
  expect(await rejection(Reflect.apply(service.close, service, [{ timeout }]))).toMatchObject({ code });
  expect(await rejection(Reflect.apply(service.close, service, [5]))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(service.closed).toBe(false);
});

test('several services in one process, each with its own fds', async () => {
  const cells = [new Cells(), new Cells(), new Cells()];
  const fd = eventfd(0);
  const services = await Promise.all(
    cells.map(async cell => (await start({ handler: STEERED, handlerData: cell.data('none') })).service),
  );
  for (const service of services) await service.register(fd, { events: EPOLLIN | EPOLLET, data: 0 });
  signal(fd);
  await until(() => cells.every(cell => cell.ends(0) === 1), 'a run in each');
  await services[0]?.close();
  signal(fd);
  await until(() => cells[1]?.ends(0) === 2 && cells[2]?.ends(0) === 2, 'a run in the others');
  expect(cells[0]?.runs(0)).toBe(1);
});
