/** Wrong arguments are coded TypeErrors and RangeErrors, and reach no system call. */
import { EPOLLIN, Epoll, type EventInit, Events, Waker } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { countFds, eventfd } from './support/fds.ts';
import { owned, rejection, thrown } from './support/within.ts';

const TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const WRONG_FD_TYPES = ['3', 3n, null, undefined, true, Symbol('fd'), {}, { fd: '3' }, { fd: null }, { fd: 3n }, []];
const WRONG_FDS = [-1, 2 ** 31, 0.5, Number.NaN, Number.POSITIVE_INFINITY, -(2 ** 31), 2 ** 32, 2 ** 32 + 3];
const INIT = { events: EPOLLIN };

/** Calls a method with whatever, as JavaScript can. */
function call(target: object, method: string, ...args: unknown[]): unknown {
  return thrown(() => Reflect.apply(Reflect.get(target, method), target, args));
}

test('fd of register, modify and unregister', () => {
  const epoll = owned(new Epoll());
  for (const method of ['register', 'modify', 'unregister']) {
    for (const fd of WRONG_FD_TYPES) expect(call(epoll, method, fd, INIT)).toMatchObject(TYPE);
    for (const fd of WRONG_FDS) {
      expect(call(epoll, method, fd, INIT)).toMatchObject({ ...RANGE, message: expect.stringContaining('fd') });
      expect(call(epoll, method, { fd }, INIT)).toMatchObject({ ...RANGE, message: expect.stringContaining('fd.fd') });
    }
  }
  expect(epoll.registered()).toEqual([]);
});

test('event of register and modify', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd();
  for (const method of ['register', 'modify']) {
    for (const event of [undefined, null, 1, 'EPOLLIN', 1n, true]) {
      expect(call(epoll, method, fd, event)).toMatchObject(TYPE);
    }
    for (const events of ['1', 1n, null, undefined, {}, true]) {
      expect(call(epoll, method, fd, { events })).toMatchObject({
        ...TYPE,
        message: expect.stringContaining('event.events'),
      });
    }
    for (const events of [Number.NaN, 0.5, 2 ** 32, -(2 ** 31) - 1, Number.POSITIVE_INFINITY]) {
      expect(call(epoll, method, fd, { events })).toMatchObject({
        ...RANGE,
        message: expect.stringContaining('event.events'),
      });
    }
    for (const data of ['1', null, {}, true, Symbol('data')]) {
      expect(call(epoll, method, fd, { events: 1, data })).toMatchObject(TYPE);
    }
  }
  expect(epoll.registered()).toEqual([]);
});

test('events and timeout of wait and waitAsync', async () => {
  const epoll = owned(new Epoll());
  epoll.register(eventfd(1), INIT);
  const events = new Events(1);
  const cases: Array<[unknown[], object]> = [
    ...[undefined, null, {}, [], 1, new Uint32Array(3), Object.create(Events.prototype), new Proxy(events, {})].map(
      (wrong): [unknown[], object] => [[wrong, 0], TYPE],
    ),
    ...['0', null, 1n, {}, true].map((wrong): [unknown[], object] => [[events, wrong], TYPE]),
    ...[Number.NaN, -0.5, -2, Number.NEGATIVE_INFINITY, -1.0001].map((wrong): [unknown[], object] => [
      [events, wrong],
      RANGE,
    ]),
  ];
  for (const [args, expected] of cases) {
    expect(call(epoll, 'wait', ...args)).toMatchObject(expected);
    const promise: unknown = Reflect.apply(epoll.waitAsync, epoll, args); // rejects, never throws
    expect(promise).toBeInstanceOf(Promise);
    if (promise instanceof Promise) expect(await rejection(promise)).toMatchObject(expected);
  }
  expect(events.length).toBe(0);
});

test('options of waitAsync', async () => {
  const epoll = owned(new Epoll());
  const events = new Events(1);
  const poser: object = Object.create(AbortSignal.prototype);
  for (const options of [null, 1, 'x', { signal: null }, { signal: {} }, { signal: poser }, { signal: 1 }]) {
    const promise: unknown = Reflect.apply(epoll.waitAsync, epoll, [events, 0, options]);
    if (!(promise instanceof Promise)) throw new Error('no promise');
    expect(await rejection(promise)).toMatchObject(TYPE);
  }
  const own = new Error('of the getter');
  const promise = epoll.waitAsync(events, 0, {
    get signal(): AbortSignal {
      throw own;
    },
  });
  expect(await rejection(promise)).toBe(own);
});

test('capacity of Events', () => {
  for (const wrong of ['1', null, undefined, 1n, {}]) {
    expect(thrown(() => Reflect.construct(Events, [wrong]))).toMatchObject(TYPE);
  }
  for (const wrong of [0, -1, 0.5, Number.NaN, Math.floor(0x7fff_ffff / 12) + 1, Number.POSITIVE_INFINITY]) {
    expect(thrown(() => new Events(wrong))).toMatchObject({ ...RANGE, message: expect.stringContaining('capacity') });
  }
});

test('arguments of Waker and of both borrows', () => {
  const epoll = owned(new Epoll());
  const before = countFds();
  for (const wrong of [undefined, null, {}, 5, { fd: epoll.fd, closed: false }, new Proxy(epoll, {})]) {
    expect(thrown(() => Reflect.construct(Waker, [wrong, 1n]))).toMatchObject(TYPE);
  }
  for (const wrong of [undefined, null, '1', {}]) {
    expect(thrown(() => Reflect.construct(Waker, [epoll, wrong]))).toMatchObject(TYPE);
  }
  for (const wrong of [-1, 0.5, -1n, 2n ** 64n]) expect(thrown(() => new Waker(epoll, wrong))).toMatchObject(RANGE);
  for (const type of [Epoll, Waker]) {
    for (const wrong of ['3', null, undefined, 3n, { fd: 3 }]) expect(call(type, 'borrow', wrong)).toMatchObject(TYPE);
    for (const wrong of WRONG_FDS) expect(call(type, 'borrow', wrong)).toMatchObject(RANGE);
  }
  expect(epoll.registered()).toEqual([]);
  expect(countFds()).toBe(before);
});

test('arguments of sys', () => {
  const before = countFds();
  for (const name of ['accept', 'dup', 'setNonblocking', 'close', 'read', 'write']) {
    for (const wrong of ['3', null, undefined, 3n, { fd: 3 }]) {
      expect(call(sys, name, wrong, new Uint8Array(1))).toMatchObject({
        ...TYPE,
        message: expect.stringMatching(/^fd /),
      });
    }
    for (const wrong of WRONG_FDS) {
      expect(call(sys, name, wrong, new Uint8Array(1))).toMatchObject({
        ...RANGE,
        message: expect.stringMatching(/^fd /),
      });
    }
  }
  const fd = eventfd();
  for (const name of ['read', 'write']) {
    for (const wrong of [undefined, null, 'text', [1], {}, new ArrayBuffer(8), new SharedArrayBuffer(8), 8]) {
      expect(call(sys, name, fd, wrong)).toMatchObject(TYPE);
    }
  }
  for (const wrong of ['1', 1n, null, {}]) {
    expect(call(sys, 'eventfd', wrong)).toMatchObject(TYPE);
    expect(call(sys, 'timerfd', wrong)).toMatchObject(TYPE);
    expect(call(sys, 'timerfd', 1, wrong)).toMatchObject(TYPE);
  }
  for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(call(sys, 'eventfd', wrong)).toMatchObject(RANGE);
    expect(call(sys, 'timerfd', wrong)).toMatchObject(RANGE);
    expect(call(sys, 'timerfd', 1, wrong)).toMatchObject(RANGE);
  }
  for (const wrong of [0.5, 2 ** 32]) expect(call(sys, 'eventfd', wrong)).toMatchObject(RANGE);
  expect(call(sys, 'timerfd')).toMatchObject(TYPE);
  expect(countFds()).toBe(before + 1); // the test's own eventfd
});

test('getters are read once each, in the order fd, events, data', () => {
  const epoll = owned(new Epoll());
  const fd = eventfd(1);
  const read: string[] = [];
  const target = {
    get fd(): number {
      read.push('fd');
      return fd;
    },
  };
  const init: EventInit = {
    get events(): number {
      read.push('events');
      return EPOLLIN;
    },
    get data(): bigint {
      read.push('data');
      return 9n;
    },
  };
  epoll.register(target, init);
  epoll.modify(target, init);
  epoll.unregister(target);
  expect(read).toEqual(['fd', 'events', 'data', 'fd', 'events', 'data', 'fd']);
});

test('a getter that registers something itself changes nothing of the call it is in', () => {
  const epoll = owned(new Epoll());
  const [outer, inner] = [eventfd(1), eventfd(1)];
  epoll.register(outer, {
    events: EPOLLIN,
    get data(): bigint {
      epoll.register(inner, { events: 0, data: 0xffff_ffff_ffff_ffffn });
      return 5n;
    },
  });
  expect(epoll.registered().find(r => r.fd === outer)).toMatchObject({ events: 0x19, data: 5n });
  expect(epoll.registered().find(r => r.fd === inner)).toMatchObject({ data: 0xffff_ffff_ffff_ffffn });
});

test('what a getter throws comes out, and nothing is registered', () => {
  const epoll = owned(new Epoll());
  const own = new Error('of the getter');
  const error = thrown(() =>
    epoll.register(eventfd(), {
      get events(): number {
        throw own;
      },
    }),
  );
  expect(error).toBe(own);
  expect(epoll.registered()).toEqual([]);
});

test('the messages say what was wanted and what was given', () => {
  const epoll = owned(new Epoll());
  const said = (...args: unknown[]): unknown => Object(call(epoll, 'register', ...args)).message;
  expect(said('socket', INIT)).toBe("fd must be a file descriptor, or an object with one as its fd; received 'socket'");
  expect(said(-1, INIT)).toBe('fd must be a whole number from 0 to 2147483647; received -1');
  expect(said({ fd: undefined }, INIT)).toBe('fd.fd must be a number; received undefined');
  expect(said(0)).toBe('event must be an object with events, and data if it differs from the fd; received undefined');
  expect(said(0, { events: 2 ** 40 })).toBe('event.events must be a whole number of 32 bits; received 1099511627776');
  expect(said(0, { events: 1, data: 1.5 })).toBe(
    'event.data must be a non-negative safe integer or a bigint; received 1.5',
  );
  expect(Object(call(epoll, 'wait', new Events(1), -5)).message).toBe(
    'timeout must be -1 (for ever) or at least 0; received -5',
  );
});

test('a hostile value cannot replace the error by its own', () => {
  const epoll = owned(new Epoll());
  const hostile = new Proxy(() => undefined, {
    get() {
      throw new Error('mine');
    },
  });
  expect(call(epoll, 'wait', hostile)).toMatchObject(TYPE);
  expect(call(epoll, 'wait', new Events(1), hostile)).toMatchObject(TYPE);
});
