/**
 * The machine's own limits, lowered for a moment and put back: fs.epoll.max_user_watches and fs.file-max. The child runs
 * as a user without privileges and alone under its id, so that nobody else meets them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { obstacleTo, runLimited } from './support/limited.ts';

/** User ids that nothing else on the machine is likely to run under, not even these tests a second time: theirs is the limit. */
const UID = 100_000 + 2 * (process.pid % 10_000);
const WATCHES = '/proc/sys/fs/epoll/max_user_watches';
const FILES = '/proc/sys/fs/file-max';
/** Enough for everybody else meanwhile; quickly filled. */
const FEW_WATCHES = 300_000;

/** Why the limit cannot be lowered here; undefined: it can. */
function obstacle(path: string): string | undefined {
  if (!process.env.EPOLL_POOL_TEST_SYSCTLS)
    return 'lowers a sysctl of the whole machine: EPOLL_POOL_TEST_SYSCTLS=1 runs it';
  const reason = obstacleTo(UID);
  if (reason !== undefined) return reason;
  try {
    writeFileSync(path, readFileSync(path, 'latin1'));
  } catch (error) {
    return `${path} cannot be written: ${error}`;
  }
  return undefined;
}

async function lowered<T>(path: string, value: number, call: () => Promise<T>): Promise<T> {
  const before = readFileSync(path, 'latin1').trim();
  const restore = (): void => writeFileSync(path, before);
  process.once('exit', restore);
  try {
    if (value < Number(before)) writeFileSync(path, String(value));
    return await call();
  } finally {
    restore();
    process.off('exit', restore);
  }
}

test('ENOSPC: the error names fs.epoll.max_user_watches; the service goes on', async context => {
  const reason = obstacle(WATCHES);
  if (reason !== undefined) return context.skip(reason);
  if (Number(readFileSync(WATCHES, 'latin1')) < FEW_WATCHES) return context.skip('the limit is low as it is');
  const result = await lowered(WATCHES, FEW_WATCHES, () =>
    runLimited(
      { uid: UID },
      `
    const source = 'export default ready => { ready.register(Number(ready.data), { events: 1, data: 9 }); ready.read(new Uint8Array(8)); }';
    const service = await WaitService.start({ threads: 2, handler: 'data:text/javascript,' + encodeURIComponent(source) });
    const errors = [];
    service.on('error', (error, event) => errors.push({ error, event }));
    const [first, second, third] = [sys.eventfd(0), sys.eventfd(0), sys.eventfd(0)];
    await service.register(first, { events: EPOLLIN | EPOLLET, data: second });
    // Watches count by instance and fd.
    const fds = Array.from({ length: 1000 }, () => sys.eventfd(0));
    const epolls = [];
    fill: for (;;) {
      const epoll = new Epoll();
      epolls.push(epoll);
      for (const fd of fds) {
        try { epoll.register(fd, { events: EPOLLIN }); } catch (error) { print(error.message.replace(/fd \\d+/, 'fd')); break fill; }
      }
    }
    const rejected = await service.register(third, { events: EPOLLIN }).catch(error => error);
    print(rejected.constructor === lib.EpollError, rejected.code, rejected.syscall, rejected.errno, rejected.fd === third);
    sys.write(first, new BigUint64Array([1n]));
    await until(() => errors.length === 1);
    print(errors[0].error.message.includes('max_user_watches'), errors[0].event.fd === second, errors[0].event.data);
    print('registrations', service.stats().registrations);
    await service.modify(first, { events: EPOLLIN | EPOLLET, data: second }); // needs no watch
    for (const epoll of epolls) epoll.close();
    sys.write(first, new BigUint64Array([1n]));
    await until(() => service.stats().registrations === 2);
    await service.register(third, { events: EPOLLIN });
    print('registrations', service.stats().registrations);
    await service.close();
  `,
    ),
  );
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout.split('\n')).toEqual([
    expect.stringMatching(/^ENOSPC: .*, epoll_ctl \(fd\); the limit is the sysctl fs\.epoll\.max_user_watches$/),
    'true ENOSPC epoll_ctl -28 true',
    'true true 9n',
    'registrations 1',
    'registrations 3',
    '',
  ]);
});

test('ENFILE: the error names fs.file-max; the service goes on', async context => {
  const reason = obstacle(FILES);
  if (reason !== undefined) return context.skip(reason);
  let lower = (): void => {};
  let raise = (): void => {};
  const asked = new Promise<void>(resolve => {
    lower = resolve;
  });
  const done = new Promise<void>(resolve => {
    raise = resolve;
  });
  const child = runLimited(
    { uid: UID },
    `
    const service = await WaitService.start({ threads: 2 });
    const seen = [];
    service.on('event', ({ fd }) => seen.push(sys.read(fd, new Uint8Array(8))));
    const fd = sys.eventfd(0);
    await service.register(fd, { events: EPOLLIN });
    const failure = call => { try { call(); } catch (error) { return error; } };
    const eventfd = () => sys.close(sys.eventfd(0));
    print('lower');
    await until(() => failure(eventfd) !== undefined);
    print(failure(eventfd)?.message);
    print(failure(() => new Epoll().close())?.message);
    print(await WaitService.start({ threads: 1 }).then(() => 'started', error => error.message));
    sys.write(fd, new BigUint64Array([1n]));
    await until(() => seen.length === 1);
    print('goes on', seen.join());
    print('raise');
    await until(() => failure(eventfd) === undefined);
    await (await WaitService.start({ threads: 1 })).close();
    await service.close();
  `,
    25_000,
    text => {
      if (text.includes('lower')) lower();
      if (text.includes('raise')) raise();
    },
  );
  const over = child.then(() => undefined);
  await Promise.race([asked, over]);
  await lowered(FILES, 1, () => Promise.race([done, over]));
  const result = await child;
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout.split('\n')).toEqual([
    'lower',
    'ENFILE: file table overflow, eventfd; the limit is the sysctl fs.file-max',
    'ENFILE: file table overflow, epoll_create1; the limit is the sysctl fs.file-max',
    'ENFILE: file table overflow, epoll_create1; the limit is the sysctl fs.file-max',
    'goes on 8',
    'raise',
    '',
  ]);
});

test('no thread to be had: start() rejects, the process and its services go on', { tags: ['slow'] }, async context => {
  const reason = obstacleTo(UID + 1);
  if (reason !== undefined) return context.skip(reason);
  const result = await runLimited(
    { uid: UID + 1, tasks: 40 },
    `
    const service = await WaitService.start({ threads: 1 });
    const seen = [];
    service.on('event', ({ fd }) => seen.push(sys.read(fd, new Uint8Array(8))));
    const fd = sys.eventfd(1);
    const before = countThreads();
    const error = await WaitService.start({ threads: 100 }).then(() => 'started', error => error);
    print(error.code);
    await until(() => countThreads() <= before);
    await service.register(fd, { events: EPOLLIN });
    await until(() => seen.length === 1);
    await (await WaitService.start({ threads: 2 })).close();
    await service.close();
    print('goes on');
  `,
  );
  expect(result).toMatchObject({ code: 0, stderr: '', stdout: 'ERR_WORKER_INIT_FAILED\ngoes on\n' });
});
