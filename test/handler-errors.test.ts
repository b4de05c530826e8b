/** A throw (or rejection) is one 'error' event with the event of the run, and rests the registration until modify(). */
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EpollError } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, pipe, signal } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { type Failure, module, quiet, start, until } from './support/service.ts';
import { within } from './support/within.ts';

const THROWS =
  'export default ready => { if (ready.data === 1n) throw new Error("mine"); ready.read(new Uint8Array(8)); ready.post(ready.data); };';

test.each([
  ['level', EPOLLIN],
  ['edge', (EPOLLIN | EPOLLET) >>> 0],
  ['oneshot', EPOLLIN | EPOLLONESHOT],
])('%s: one error, then rest until modify()', async (_mode, events) => {
  const { service, messages, failures } = await start({ handler: module(THROWS), threads: 3 });
  const fd = eventfd(1);
  await service.register(fd, { events, data: 1 });
  await until(() => failures.length > 0, 'an error');
  signal(fd);
  signal(fd);
  await quiet();
  expect(failures).toMatchObject([{ error: { message: 'mine' }, event: { fd, events: EPOLLIN, data: 1n } }]);
  expect(service.stats().threads.reduce((sum, { errors }) => sum + errors, 0)).toBe(1);
  await service.modify(fd, { events, data: 2 });
  await until(() => messages.length === 1, 'a run');
  await quiet();
  expect({ messages, failures: failures.length }).toEqual({ messages: [2n], failures: 1 });
});

test('modify() in the error listener ends the rest', async () => {
  const { service, messages } = await start({ handler: module(THROWS) });
  const fd = eventfd(1);
  service.on('error', () => service.modify(fd, { events: EPOLLIN, data: 2 }));
  await service.register(fd, { events: EPOLLIN, data: 1 });
  await until(() => messages.length === 1, 'a run');
});

test('a modify() that the handler asked for before it threw does not end the rest', async () => {
  const handler = module(`
    export default ready => { ready.post(1); ready.modify({ events: ${EPOLLIN} }); throw new Error('after'); };
  `);
  const { service, messages, failures } = await start({ handler, threads: 3 });
  const fds = Array.from({ length: 40 }, () => eventfd(1));
  for (const fd of fds) await service.register(fd, { events: EPOLLIN });
  await until(() => failures.length >= fds.length, 'the errors');
  await quiet();
  expect({ runs: messages.length, failures: failures.length }).toEqual({ runs: fds.length, failures: fds.length });
  // Every one of them can be unregistered still.
  for (const fd of fds) await within(service.unregister(fd));
});

test('a handler that closed its fd and then threw: the error tells the event all the same', async () => {
  const handler = module('export default ready => { ready.unregister(); throw new Error("after"); };');
  const { service, failures } = await start({ handler });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN, data: 2n ** 50n });
  await until(() => failures.length > 0, 'an error');
  expect(failures).toMatchObject([{ error: { message: 'after' }, event: { fd, events: EPOLLIN, data: 2n ** 50n } }]);
});

async function failureOf(statement: string): Promise<Failure> {
  const handler = module(`export default ready => { ${statement} };`);
  const { service, failures } = await start({ handler });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN });
  await until(() => failures.length > 0, 'an error');
  const [failure] = failures;
  if (failure === undefined) throw new Error('no failure');
  expect(failure.error).toBeInstanceOf(Error);
  expect(failure.event).toEqual({ fd, id: expect.any(Number), events: EPOLLIN, data: BigInt(fd) });
  return failure;
}

test.each([
  ['undefined', undefined],
  ['null', null],
  ['5', 5],
  ['"text"', 'text'],
  ['({ code: 3 })', { code: 3 }],
])('throw %s: an Error whose cause it is', async (value, cause) => {
  expect(await failureOf(`throw ${value}`)).toMatchObject({ error: { cause } });
});

test.each(['Symbol("s")', '() => {}', 'Object.create(null)', 'new Proxy({}, { get() { throw 1; } })'])(
  'throw %s: an Error all the same',
  async value => {
    expect((await failureOf(`throw ${value}`)).error.message).not.toBe('');
  },
);

test('what ready.read() throws is the EpollError that the handler imports', async () => {
  const { service, messages } = await start({ handler: new URL('fixtures/refused-read.mjs', import.meta.url) });
  await service.register(pipe().writable, { events: EPOLLOUT });
  await until(() => messages.length === 1, 'what it caught');
  expect(messages).toEqual([[true, 'EBADF']]);
});

test('an EpollError is an EpollError here too', async () => {
  const { error, event } = await failureOf('ready.read(new Uint8Array(4))');
  expect(error).toBeInstanceOf(EpollError);
  expect(error).toMatchObject({ name: 'EpollError', code: 'EINVAL', errno: -22, syscall: 'read', fd: event?.fd });
});

test('an EpollError keeps what the handler has added, its message and its cause', async () => {
  const { error } = await failureOf(`
    try { ready.read(new Uint8Array(4)); } catch (error) {
      error.message = 'of peer 7: ' + error.message;
      throw Object.assign(error, { peer: 7, cause: new RangeError('why') });
    }
  `);
  expect(error).toBeInstanceOf(EpollError);
  expect(error).toMatchObject({
    name: 'EpollError',
    message: expect.stringMatching(/^of peer 7: EINVAL/),
    code: 'EINVAL',
    peer: 7,
    cause: { name: 'RangeError', message: 'why' },
  });
  expect(Object.keys(error)).toEqual(['code', 'errno', 'syscall', 'fd', 'peer']);
});

test('an EpollError that names an address names it here too', async () => {
  const sys = JSON.stringify(import.meta.resolve('epoll-pool/sys'));
  const { error } = await failureOf(`return import(${sys}).then(({ listen }) => listen({ path: "/nowhere/at/all" }));`);
  expect(error).toMatchObject({ name: 'EpollError', code: 'ENOENT', syscall: 'bind' });
  expect(error.message).toMatch(/\/nowhere\/at\/all/);
  expect(error).not.toHaveProperty('fd');
});

test("the error's class, stack, cause and own properties are kept", async () => {
  const statement = `
    function culprit() { return new RangeError('range', { cause: 'why' }); }
    throw Object.assign(culprit(), { code: 'E_OWN', list: [1n], uncloneable() {} });
  `;
  const { error } = await failureOf(statement);
  expect(error).toBeInstanceOf(RangeError);
  expect(error).toMatchObject({ name: 'RangeError', message: 'range', cause: 'why', code: 'E_OWN', list: [1n] });
  expect(error.stack).toMatch(/culprit/);
  expect(error).not.toHaveProperty('uncloneable');
});

test('an AggregateError keeps its errors, an error of a class of its own its name', async () => {
  expect(await failureOf("throw new AggregateError([new Error('one')], 'all')")).toMatchObject({
    error: { name: 'AggregateError', message: 'all', errors: [{ message: 'one' }] },
  });
  const statement = "class Mine extends Error { get name() { return 'Mine'; } } throw new Mine('m');";
  expect(await failureOf(statement)).toMatchObject({ error: { name: 'Mine', message: 'm' } });
});

test.each(['cause: () => {}', 'cause: new Proxy({}, {})'])('an error that cannot be cloned (%s)', async cause => {
  const statement = `throw Object.assign(new TypeError('t', { ${cause} }), { code: 'E_T' });`;
  expect(await failureOf(statement)).toMatchObject({ error: { name: 'TypeError', message: 't', code: 'E_T' } });
});

test("without an 'error' listener the process dies of it, and does not hang", async () => {
  const source = `
    const handler = 'data:text/javascript,export default () => { throw new Error("nobody listens") }';
    const service = await lib.WaitService.start({ threads: 2, handler });
    await service.register(sys.eventfd(1), { events: EPOLLIN });
  `;
  const result = await run(source);
  expect(result).toMatchObject({ code: 1, signal: null });
  expect(result.stderr).toMatch(/nobody listens/);
});

test("an 'error' listener that throws is an uncaught exception, and the service goes on", async () => {
  const source = `
    const handler = 'data:text/javascript,export default r => { r.read(new Uint8Array(8)); if (r.data === 1n) throw new Error("first"); r.post(2) }';
    const service = await lib.WaitService.start({ threads: 1, handler });
    process.on('uncaughtException', error => console.log('uncaught', error.message));
    service.on('error', () => { throw new Error('of the listener'); });
    service.on('message', async value => { console.log(value); await service.close(); });
    await service.register(sys.eventfd(1), { events: EPOLLIN, data: 1 });
    setTimeout(() => service.register(sys.eventfd(1), { events: EPOLLIN, data: 2 }), 50);
  `;
  expect(await run(source)).toEqual(ended('uncaught of the listener\n2\n'));
});
