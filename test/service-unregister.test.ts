/** unregister(): once it resolves no handler runs for the registration and none will; it blocks nothing but its fd. */
import { EPOLLET, EPOLLIN } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { run } from './support/run.ts';
import { quiet, start, until } from './support/service.ts';
import { Cells, STEERED } from './support/service-cells.ts';
import { rejection, within } from './support/within.ts';

async function running(): Promise<{ cells: Cells; service: Awaited<ReturnType<typeof start>>['service']; fd: number }> {
  const cells = new Cells();
  const { service } = await start({ handler: STEERED, handlerData: cells.data('none') });
  const fd = eventfd(1);
  cells.shut(0);
  await service.register(fd, { events: EPOLLIN | EPOLLET, data: 0 });
  await until(() => cells.runs(0) === 1, 'a run');
  return { cells, service, fd };
}

test('it waits for the run', async () => {
  const { cells, service, fd } = await running();
  let ends = -1;
  const unregistered = service.unregister(fd).then(() => {
    ends = cells.ends(0);
  });
  await quiet();
  expect(ends).toBe(-1);
  cells.open(0);
  await within(unregistered);
  expect(ends).toBe(1);
});

test('no run comes after it, though edges came during the run', async () => {
  const { cells, service, fd } = await running();
  signal(fd);
  const unregistered = service.unregister(fd);
  signal(fd);
  cells.open(0);
  await within(unregistered);
  signal(fd);
  await quiet();
  expect(cells.runs(0)).toBe(1);
});

test('other control calls go on while it waits', async () => {
  const { cells, service, fd } = await running();
  const unregistered = service.unregister(fd);
  const other = eventfd(1);
  await within(service.register(other, { events: EPOLLIN | EPOLLET, data: 1 }));
  await until(() => cells.ends(1) === 1, 'a run of the other');
  await within(service.modify(other, { events: EPOLLIN | EPOLLET, data: 2 }));
  await until(() => cells.ends(2) === 1, 'a run of the other');
  await within(service.unregister(other));
  cells.open(0);
  await within(unregistered);
});

test('what is asked of the same fd meanwhile waits for it, in order', async () => {
  const { cells, service, fd } = await running();
  const order: string[] = [];
  const note = (what: string) => (): void => {
    order.push(what);
  };
  const asked = [
    service.unregister(fd).then(note('unregister')),
    service.modify(fd, { events: EPOLLIN }).catch(note('modify fails')),
    service.register(fd, { events: EPOLLIN | EPOLLET, data: 1 }).then(note('register')),
    service.unregister(fd).then(note('unregister again')),
    service.unregister(fd).catch(note('third fails')),
    service.register(fd, { events: EPOLLIN | EPOLLET, data: 2 }).then(note('register again')),
  ];
  await quiet();
  expect(order).toEqual([]);
  cells.open(0);
  await within(Promise.all(asked));
  expect(order).toEqual([
    'unregister',
    'modify fails',
    'register',
    'unregister again',
    'third fails',
    'register again',
  ]);
  await until(() => cells.ends(2) === 1, 'a run of the last registration');
  expect(cells.runs(0)).toBe(1);
});

test('the fd can be closed at once', async () => {
  const cells = new Cells();
  const { service, failures } = await start({ threads: 4, handler: STEERED, handlerData: cells.data(8) });
  for (let i = 0; i < 200; i++) {
    const fd = sys.eventfd(1);
    await service.register(fd, { events: EPOLLIN, data: 0 });
    await service.unregister(fd);
    sys.close(fd);
  }
  expect({ failures, runs: cells.runs(0), overlaps: cells.overlaps(0) }).toEqual({
    failures: [],
    runs: cells.ends(0),
    overlaps: 0,
  });
});

test('close() of the service settles an unregister() that waits', async () => {
  const { cells, service, fd } = await running();
  const unregistered = service.unregister(fd);
  const closed = service.close();
  cells.open(0);
  await within(Promise.all([unregistered, closed]));
  const again = await running();
  const pending = again.service.unregister(again.fd);
  const behind = rejection(again.service.register(again.fd, { events: EPOLLIN }));
  await within(again.service.close({ timeout: 0 }));
  await within(pending);
  expect(await behind).toMatchObject({ code: 'EBADF' });
});

test('an error listener that throws does not keep what waits behind it from being settled', async () => {
  const source = `
    const words = new Int32Array(new SharedArrayBuffer(8));
    const fd = sys.eventfd(1);
    const handler = 'data:text/javascript,' + encodeURIComponent(\`
      let words;
      export function setup(given) { words = given; }
      export default ready => {
        if (ready.data === 1n) { Atomics.store(words, 0, 1); Atomics.wait(words, 1, 0); return; }
        ready.read(new Uint8Array(8));
        ready.register(\${fd}, { events: 1 });
        ready.register(\${fd}, { events: 1 }); // EEXIST
        ready.post('asked');
      };
    \`);
    const service = await lib.WaitService.start({ threads: 2, handler, handlerData: words });
    process.on('uncaughtException', error => console.log(error.message));
    service.on('error', error => { throw new Error('listener: ' + error.code); });
    await service.register(fd, { events: EPOLLIN, data: 1 });
    while (Atomics.load(words, 0) === 0) await new Promise(setImmediate);
    const first = service.unregister(fd);
    await service.register(sys.eventfd(1), { events: EPOLLIN, data: 2 });
    await new Promise(resolve => service.once('message', resolve));
    const second = service.unregister(fd);
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    await first;
    await second;
    console.log('settled');
    await service.close();
  `;
  const result = await run(source);
  expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(result.stdout.split('\n').sort()).toEqual(['', 'listener: EEXIST', 'settled']);
});
