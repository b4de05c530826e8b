/** ready.register, modify, unregister and close are carried out in the order asked; failures become 'error' events. */
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { closing, eventfd, signal, socketpair } from './support/fds.ts';
import { module, quiet, start, until } from './support/service.ts';

const IN = EPOLLIN;

/** A handler whose run for data 1 is the statements; others read, and post their data. */
function handler(statements: string): string {
  return module(`
    export default ready => {
      ready.read(new Uint8Array(8));
      if (ready.data !== 1n) { ready.post(ready.data); return; }
      ${statements}
    };
  `);
}

test('register: another fd, its data, in the mode asked for', async () => {
  const other = eventfd(1);
  const statements = `ready.register(${other}, { events: ${IN}, data: 7n });`;
  const { service, messages, failures } = await start({ handler: handler(statements) });
  await service.register(eventfd(1), { events: IN, data: 1 });
  await until(() => messages.length === 1, 'a run for the other');
  expect({ messages, failures, n: service.stats().registrations }).toEqual({ messages: [7n], failures: [], n: 2 });
});

test('register takes what carries an fd, and data defaults to the fd', async () => {
  const other = eventfd(1);
  const statements = `ready.register({ fd: ${other} }, { events: ${IN} });`;
  const { service, messages } = await start({ handler: handler(statements) });
  await service.register(eventfd(1), { events: IN, data: 1 });
  await until(() => messages.length === 1, 'a run for the other');
  expect(messages).toEqual([BigInt(other)]);
});

test('modify: mask and data both', async () => {
  const [a, b] = socketpair();
  const statements = `ready.modify({ events: ${EPOLLOUT | EPOLLET}, data: 8 });`;
  const { service, messages } = await start({ handler: handler(statements) });
  sys.write(b, Buffer.alloc(1));
  await service.register(a, { events: IN, data: 1 });
  await until(() => messages.length === 1, 'a run with the new interest');
  sys.write(b, Buffer.alloc(1));
  await quiet();
  expect(messages).toEqual([8n]);
});

test('unregister: it does not run again', async () => {
  const { service, messages, failures } = await start({ handler: handler("ready.unregister(); ready.post('out');") });
  const fd = eventfd(1);
  await service.register(fd, { events: IN, data: 1 });
  await until(() => service.stats().registrations === 0, 'the end of it');
  signal(fd);
  await quiet();
  expect({ messages, failures }).toEqual({ messages: ['out'], failures: [] });
  await service.register(fd, { events: IN, data: 2 }); // the fd is open still
  await until(() => messages.length === 2, 'a run');
});

test('close: the fd is closed, the peer sees the end', async () => {
  const [a, b] = sys.socketpair();
  closing(b);
  const { service, failures } = await start({ handler: handler('ready.close(); ready.close();') });
  sys.write(b, Buffer.alloc(1));
  await service.register(a, { events: IN, data: 1 });
  await until(() => service.stats().registrations === 0, 'the end of it');
  await until(() => sys.read(b, Buffer.alloc(1)) === 0, 'the end of the stream');
  expect(failures).toEqual([]);
});

test('a level handler that closes runs once, though its fd is still ready', async () => {
  const [a, b] = sys.socketpair();
  closing(b);
  const source = 'export default ready => { ready.post(1); ready.close(); };';
  const { service, messages } = await start({ handler: module(source) });
  sys.write(b, Buffer.alloc(100));
  await service.register(a, { events: IN });
  await until(() => service.stats().registrations === 0, 'the end of it');
  await quiet();
  expect(messages).toEqual([1]);
});

test('in the order asked: unregister, register again, from one run', async () => {
  const fd = eventfd(1);
  const statements = `ready.unregister(); ready.register(ready.fd, { events: ${IN}, data: 5 });`;
  const { service, messages, failures } = await start({ handler: handler(statements) });
  await service.register(fd, { events: IN, data: 1 });
  await until(() => service.stats().controlCalls === 5 && service.stats().registrations === 1, 'both requests');
  signal(fd);
  await until(() => messages.length === 1, 'a run of the second registration');
  expect({ messages, failures }).toEqual({ messages: [5n], failures: [] });
});

test('several modify: the last counts', async () => {
  const { service, messages } = await start({
    handler: handler(`for (let data = 2; data < 50; data++) ready.modify({ events: ${IN}, data });`),
  });
  const fd = eventfd(1);
  await service.register(fd, { events: IN, data: 1 });
  // The service's own two, this one, and one for all that the run has asked.
  await until(() => service.stats().controlCalls === 4, 'all requests');
  signal(fd);
  await until(() => messages.length === 1, 'a run');
  expect(messages).toEqual([49n]);
});

test('a failing register is an error with the fd, mask and data asked for', async () => {
  const twice = eventfd(0);
  const nowhere = 2 ** 30;
  const statements = `
    ready.register(${twice}, { events: ${IN | EPOLLONESHOT}, data: 2n ** 64n - 1n });
    ready.register(${twice}, { events: ${EPOLLOUT}, data: 2n ** 64n - 2n });
    ready.register(${nowhere}, { events: ${IN | EPOLLET} });
  `;
  const { service, failures } = await start({ handler: handler(statements) });
  const fd = eventfd(1);
  await service.register(fd, { events: IN, data: 1 });
  await until(() => failures.length === 2, 'two errors');
  expect(failures).toMatchObject([
    {
      error: { name: 'EpollError', code: 'EEXIST', errno: -17, syscall: 'epoll_ctl', fd: twice },
      event: { fd: twice, events: EPOLLOUT, data: 2n ** 64n - 2n },
    },
    {
      error: { code: 'EBADF', fd: nowhere },
      event: { fd: nowhere, events: (IN | EPOLLET) >>> 0, data: BigInt(nowhere) },
    },
  ]);
});

test('one registration too many is an error', async () => {
  const other = eventfd(0);
  const statements = `ready.register(${other}, { events: ${IN}, data: 3 });`;
  const { service, failures } = await start({ handler: handler(statements), capacity: 1 });
  await service.register(eventfd(1), { events: IN, data: 1 });
  await until(() => failures.length === 1, 'an error');
  expect(failures).toMatchObject([{ error: { code: 'ERR_OUT_OF_RANGE' }, event: { fd: other, events: IN, data: 3n } }]);
});

test('a request for a registration that is gone is an error with its fd, mask and data', async () => {
  const other = eventfd(1);
  // Unregistered by the run itself first.
  const statements = `ready.unregister(); ready.modify({ events: ${EPOLLOUT}, data: 99 });`;
  const { service, failures } = await start({ handler: handler(statements) });
  await service.register(other, { events: IN, data: 1 });
  await until(() => failures.length === 1, 'an error');
  expect(failures).toMatchObject([
    { error: { code: 'ENOENT', fd: other }, event: { fd: other, events: EPOLLOUT, data: 99n } },
  ]);
});

test('unregister, then close: it has ended by then, and the fd stays open', async () => {
  const fd = eventfd(1);
  const { service, failures, messages } = await start({
    handler: handler('ready.unregister(); ready.close(); ready.post("asked");'),
  });
  await service.register(fd, { events: IN, data: 1 });
  await until(() => messages.length >= 1 && service.stats().registrations === 0, 'the end');
  await quiet();
  expect(failures).toEqual([]);
  expect(sys.read(fd, new Uint8Array(8))).toBe(-1); // open, and empty: no EBADF
});

const WRONG: ReadonlyArray<readonly [call: string, code: string]> = [
  ['ready.register("3", { events: 1 })', 'ERR_INVALID_ARG_TYPE'],
  ['ready.register(-1, { events: 1 })', 'ERR_OUT_OF_RANGE'],
  ['ready.register(1.5, { events: 1 })', 'ERR_OUT_OF_RANGE'],
  ['ready.register(3)', 'ERR_INVALID_ARG_TYPE'],
  ['ready.register(3, { events: "1" })', 'ERR_INVALID_ARG_TYPE'],
  ['ready.register(3, { events: 2 ** 40 })', 'ERR_OUT_OF_RANGE'],
  [`ready.register(3, { events: ${EPOLLEXCLUSIVE} })`, 'ERR_OUT_OF_RANGE'],
  ['ready.modify()', 'ERR_INVALID_ARG_TYPE'],
  ['ready.modify({ events: 1, data: -1n })', 'ERR_OUT_OF_RANGE'],
  ['ready.modify({ events: 1, data: 1.5 })', 'ERR_OUT_OF_RANGE'],
  ['ready.modify({ events: 1, data: "1" })', 'ERR_INVALID_ARG_TYPE'],
  [`ready.modify({ events: ${EPOLLEXCLUSIVE | IN} })`, 'ERR_OUT_OF_RANGE'],
];

test.each(WRONG)('%s is a typed error, and the registration rests', async (call, code) => {
  const { service, messages, failures } = await start({ handler: handler(`${call};`) });
  const fd = eventfd(1);
  const before = service.stats().controlCalls;
  await service.register(fd, { events: IN, data: 1 });
  await until(() => failures.length === 1, 'an error');
  expect(failures).toMatchObject([{ error: { code }, event: { fd, events: IN, data: 1n } }]);
  expect(service.stats().controlCalls).toBe(before + 1);
  signal(fd);
  await quiet();
  expect({ messages, failures: failures.length }).toEqual({ messages: [], failures: 1 });
  await service.modify(fd, { events: IN, data: 2 });
  await until(() => messages.length === 1, 'a run after modify()');
});
