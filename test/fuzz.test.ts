/** Odd arguments by the ten thousand, in a process of its own: only documented errors, no crash, no write out of bounds. */
import { expect, test } from 'vitest';
import { run } from './support/run.ts';

/** In the child: values of every kind, likely ones more often. Numbers that are fds are its own, never 0 to 2. */
const SETUP = `
  import fc from 'fast-check';
  import { readdirSync } from 'node:fs';
  const trap = new Error('of a getter'); // comes out as it is
  const epoll = new Epoll();
  const open = [sys.eventfd(1), ...Object.values(sys.pipe()), ...sys.socketpair(), sys.timerfd(0, 1), new Epoll().fd];
  const outside = [-1, 2 ** 31, 2 ** 32, 0x7fff_ffff, 1e6, 0.5, NaN, Infinity, -Infinity, 2 ** 53, -0.1];
  const detached = new Uint8Array(16);
  structuredClone(detached, { transfer: [detached.buffer] });
  const shrunk = new Uint8Array(new ArrayBuffer(16, { maxByteLength: 32 }), 8);
  shrunk.buffer.resize(4);
  const fd = fc.oneof(fc.constantFrom(...open), fc.constantFrom(...outside));
  const odd = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: true, withNullPrototype: true, maxDepth: 1 }),
    fc.constantFrom(Symbol('s'), () => 1, class {}, new Proxy({}, {}), new Proxy(() => 1, { get() { throw trap; } })),
  ).filter(value => typeof value !== 'number' || value < 0 || !Number.isInteger(value) || value > 1e6);
  const mask = fc.oneof(fc.integer(), fc.integer({ min: 0, max: 2 ** 32 - 1 }), odd);
  const data = fc.oneof(fc.bigInt({ min: -2n, max: 2n ** 64n + 1n }), fc.double(), fc.constant(undefined), odd);
  const init = fc.oneof({ weight: 4, arbitrary: fc.record({ events: mask, data }) }, odd);
  const target = fc.oneof({ weight: 3, arbitrary: fd }, fc.record({ fd: fc.oneof(fd, odd) }), odd);
  const noNumber = odd.filter(value => typeof value !== 'number' && value !== undefined); // numbers can be long times
  const time = fc.oneof(fc.constantFrom(0, 0.01, -0, -1.5, NaN, -Infinity, -2), noNumber);
  const buffer = fc.oneof(
    fc.uint8Array({ maxLength: 64 }), fc.float64Array({ maxLength: 4 }), fc.bigUint64Array({ maxLength: 4 }),
    fc.constantFrom(detached, shrunk, new DataView(new ArrayBuffer(8), 8), new Uint8Array(new SharedArrayBuffer(8))), odd,
  );
  const documented = error =>
    error === trap ? true : error instanceof lib.EpollError ? /^E[A-Z0-9]+$/.test(error.code) && error.errno < 0 && typeof error.syscall === 'string'
    : (error instanceof TypeError && error.code === 'ERR_INVALID_ARG_TYPE') || (error instanceof RangeError && error.code === 'ERR_OUT_OF_RANGE');
  const check = (call, args) => {
    try { call(...args); } catch (error) {
      if (!documented(error)) throw new Error('undocumented: ' + error?.stack);
    }
  };
  const settings = { numRuns: RUNS, endOnFailure: true, reporter: details => { if (details.failed) throw details.errorInstance; } };
  const many = (call, ...arbitraries) => fc.assert(fc.property(fc.tuple(...arbitraries), args => check(call, args)), settings);
`;

test('the instance, its events and its wakers', { timeout: 70_000, tags: ['slow'] }, async () => {
  const result = await run(
    `const RUNS = 3000;${SETUP}
    const events = new Events(4);
    many((fd, init) => epoll.register(fd, init), target, init);
    many((fd, init) => epoll.modify(fd, init), target, init);
    many(fd => epoll.unregister(fd), target);
    many((events, time) => epoll.wait(events, time), fc.oneof(fc.constant(events), odd), fc.constantFrom(0, 0.01, -0, NaN, -2, -1.5));
    many(time => epoll.wait(events, time), noNumber);
    many((at, of) => events[of](at), fc.oneof(fc.integer(), fc.double(), odd), fc.constantFrom('eventsAt', 'dataAt'));
    many(capacity => new Events(capacity), fc.oneof(fc.integer({ max: 5000 }), odd));
    many((epoll, data) => new Waker(epoll, data).close(), fc.oneof(fc.constant(epoll), odd), data);
    many(flags => lib.formatFlags(flags), mask);
    many(fd => { const e = Epoll.borrow(fd); e.registered(); e.wait(events, 0); }, fc.oneof(fd, odd));
    many(value => lib.detach(value), odd);
    console.log(epoll.registered().length <= open.length);
  `,
    60_000,
  );
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'true\n', stderr: '' });
});

test('waits on the loop', { timeout: 70_000 }, async () => {
  const result = await run(
    `const RUNS = 3000;${SETUP}
    const events = new Events(4);
    const signal = fc.oneof(fc.constantFrom(undefined, AbortSignal.abort(), new AbortController().signal), odd);
    await fc.assert(fc.asyncProperty(
      fc.oneof({ weight: 4, arbitrary: fc.constant(events) }, odd), time,
      fc.oneof({ weight: 3, arbitrary: fc.record({ signal }) }, odd),
      async (buffer, time, options) => {
        const promise = epoll.waitAsync(buffer, time, options);
        if (!(promise instanceof Promise)) throw new Error('no promise');
        const outcome = await promise.catch(error => error);
        if (typeof outcome !== 'number' && !documented(outcome) && outcome?.name !== 'AbortError') throw new Error('undocumented: ' + outcome?.stack);
      }), settings);
    console.log('done');
  `,
    60_000,
  );
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'done\n', stderr: '' });
});

test('sys', { timeout: 70_000, tags: ['slow'] }, async () => {
  const result = await run(
    `const RUNS = 3000;${SETUP}
    const made = call => (...args) => { const fds = [call(...args)].flatMap(x => (typeof x === 'object' ? Object.values(x) : [x])); for (const fd of fds) if (fd > 2) sys.close(fd); };
    many(made(sys.eventfd), fc.oneof(fc.integer(), odd));
    many(made(sys.timerfd), fc.oneof(fc.double(), odd), fc.oneof(fc.double(), fc.constant(undefined), odd));
    many(made(sys.dup), fc.oneof(fd, odd));
    many(made(sys.accept), fc.oneof(fd, odd));
    many(sys.setNonblocking, fc.oneof(fd, odd));
    many(sys.setTimer, fc.oneof(fd, odd), fc.oneof(fc.double(), fc.constant(-1), odd), fc.oneof(fc.double(), fc.constant(undefined), odd));
    many(made(sys.pidfd), fc.oneof(fc.constantFrom(...outside, process.pid), odd));
    for (const call of [sys.localAddress, sys.remoteAddress, sys.socketError]) many(call, fc.oneof(fd, odd));
    const side = fc.oneof(fc.constantFrom('read', 'write', 'both'), odd);
    many((fd, how) => sys.shutdown(fd, how), fc.oneof(fc.constantFrom(...outside, ...open.slice(0, 3)), odd), side);
    const host = fc.oneof(fc.constantFrom('127.0.0.1', '::1', '::ffff:127.0.0.1', '::1%lo', '0', ''), fc.ipV4(), fc.ipV6(), odd);
    const number = fc.oneof(fc.integer({ min: -1, max: 65_536 }), fc.constant(undefined), odd);
    const path = fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, fc.string({ maxLength: 120 }).map(text => '\\0' + process.pid + text), odd);
    const flag = fc.oneof(fc.boolean(), fc.constant(undefined), odd);
    many(made(sys.listen), fc.oneof({ weight: 6, arbitrary: fc.record(
      { host, port: number, path, backlog: number, reusePort: flag, ipv6Only: flag }, { requiredKeys: [] }) }, odd));
    // To this test's own port alone.
    const port = fc.oneof(fc.constantFrom(sys.localAddress(sys.listen({})).port, -1, 0, 65_536, undefined), odd);
    const local = fc.oneof(fc.constantFrom('127.0.0.1', '::1', '::ffff:127.0.0.1', '::1%lo', '0', '', undefined), odd);
    many(made(sys.connect), fc.oneof({ weight: 6, arbitrary: fc.record({ host: local, port, path }, { requiredKeys: [] }) }, odd));
    many(sys.read, fc.oneof(fd, odd), buffer);
    many(sys.write, fc.oneof(fd, odd), buffer);
    many(sys.close, fc.oneof(fc.constantFrom(...outside), odd));
    console.log(readdirSync('/proc/self/fd').length < 60);
  `,
    60_000,
  );
  expect(result).toMatchObject({ code: 0, signal: null, stdout: 'true\n', stderr: '' });
});
