// Arguments that are wrong, odd or just right, for fast-check, and what may come of them.
import fc from 'fast-check';

/** What was not as documented. */
export const problems = [];
/** How many calls were made. */
export const made = { calls: 0 };

const own = Symbol('thrown by an argument');

/** An error that an argument's own getter throws: it comes through as it is. */
class Hostile extends Error {
  [own] = true;
}

function isDocumented(error) {
  if (!(error instanceof Error)) return false;
  if (error[own]) return true;
  if (error.name === 'DataCloneError') return true;
  if (error.name === 'EpollError') return error.errno < 0 && /^E[A-Z]+$/.test(error.code);
  if (error.code === 'ERR_INVALID_ARG_TYPE') return error instanceof TypeError;
  if (error.code === 'ERR_OUT_OF_RANGE') return error instanceof RangeError;
  // A revoked or hostile proxy's own complaint.
  if (error instanceof TypeError && error.code === undefined) return /proxy|revoked/i.test(error.message);
  return error.code === 'ERR_INVALID_STATE';
}

/** @param isRight whether the arguments are such that the call may succeed */
export function attempt(name, args, call, isRight = () => true) {
  made.calls++;
  try {
    call();
    if (!isRight(args)) note(`${name} took`, args);
  } catch (error) {
    if (!isDocumented(error)) note(name, args, error);
  }
}

/** Of a function that is to return a promise, and to throw nothing. */
export async function attempts(name, args, call, done, isRight = () => true) {
  made.calls++;
  let promise;
  try {
    promise = call();
  } catch (error) {
    note(`${name} threw instead of rejecting`, args, error);
    return;
  }
  if (!(promise instanceof Promise)) note(`${name} returned no promise`, args, promise);
  try {
    const value = await promise;
    if (!isRight(args)) note(`${name} took`, args);
    await done?.(value);
  } catch (error) {
    if (!isDocumented(error)) note(name, args, error);
  }
}

/** Whether these are an fd and a registration's mask and data, as far as anyone can say without asking the kernel. */
export function isRegistration([fd, event]) {
  return isFd([fd]) && isEventInit(event);
}

export function isFd([fd]) {
  const number = typeof fd === 'number' ? fd : fd.fd;
  return Number.isInteger(number) && number >= 0 && number < 2 ** 31;
}

export function isEventInit({ events, data }) {
  const isMask = Number.isInteger(events) && events >= -(2 ** 31) && events < 2 ** 32 && (events & (1 << 28)) === 0;
  if (!isMask) return false;
  if (typeof data === 'bigint') return data >= 0n && data < 2n ** 64n;
  return data === undefined || (Number.isSafeInteger(data) && data >= 0);
}

function note(name, args, error) {
  if (problems.length > 100) return;
  let shown;
  try {
    shown = fc.stringify(args);
  } catch {
    shown = '(cannot be shown)';
  }
  problems.push(`${name}(${shown}): ${error?.stack ?? String(error)}`);
}

/** fast-check itself touches its values: tried one by one. */
export function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const hostile = key =>
  fc.constant(null).map(() => ({
    get [key]() {
      throw new Hostile(key);
    },
  }));

/** Functions of the arbitraries that go with some fds of the test's own; no other fd that is open is ever given. */
export function WRONG(fds) {
  const anything = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withSparseArray: true }),
    fc.constantFrom(Symbol('odd'), () => 0, new Proxy({}, {}), Object.create(null), new Date(), /x/, new Map()),
  );
  const edges = fc.constantFrom(
    -1,
    -0.5,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -(2 ** 31),
    2 ** 31,
    2 ** 31 - 1,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    1e300,
    1_000_000,
  );
  const bigs = fc.oneof(
    fc.bigInt(),
    fc.constantFrom(0n, -1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 200n, -(2n ** 64n)),
  );
  // Numbers that are fds, except where they could be someone's: those below 2^20 that are not the test's own.
  const strange = value => typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= 2 ** 20;
  const fd = fc.oneof(fc.constantFrom(...fds), edges, fc.double().filter(strange), anything.filter(strange));
  const fdLike = fc.oneof(
    fd,
    fc.record({ fd }),
    hostile('fd'),
    fd.map(value => Object.assign(() => 0, { fd: value })),
  );
  const mask = fc.oneof(fc.integer(), fc.nat({ max: 0xffff_ffff }), edges, bigs, anything);
  const data = fc.oneof(fc.integer(), bigs, edges, fc.constant(undefined), anything);
  const eventInit = fc.oneof(
    fc.record({ events: mask, data }),
    fc.record({ events: fc.nat({ max: 0xffff }), data }),
    fc.record({ events: mask }),
    anything,
    hostile('events'),
    hostile('data'),
  );
  const timeout = fc.oneof(
    fc.constantFrom(-2, -0.5, Number.NaN, Number.NEGATIVE_INFINITY, '1', 1n, null, {}, Symbol('t')),
    bigs,
    fc.double({ max: -1.5, noNaN: true }),
    fc.string(),
  );
  const closeOptions = fc.oneof(
    fc.record({ timeout }),
    fc.constantFrom(null, 1, 'x', 1n, Symbol('o'), true, () => 0),
    hostile('timeout'),
  );
  // Wrong in at least one thing: what starts takes time.
  const wrongCount = fc.oneof(
    fc.constantFrom(0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 53, '2', 2n, null, true),
    fc.double({ max: 0 }),
    fc.string(),
    bigs,
    fc.constantFrom({}, [], Symbol('n')),
  );
  const startOptions = fc.oneof(
    fc.record({ threads: wrongCount }),
    fc.record({ capacity: wrongCount }),
    fc.record({ batch: wrongCount }),
    fc.record({
      stateBytes: fc.oneof(
        fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 32, 2 ** 53, '1', 1n, null, {}),
        fc.double({ max: -0.1 }),
        fc.string(),
      ),
    }),
    fc.record({ capacity: fc.constantFrom(2 ** 24, 2 ** 23), stateBytes: fc.constantFrom(2 ** 32 - 1, 2 ** 31) }),
    fc.record({ handler: fc.constantFrom(1, null, true, 1n, {}, [], Symbol('h'), () => 0, new Date()) }),
    fc.record({ handlerData: fc.constantFrom(() => 0, Symbol('d'), { f: () => 0 }, new WeakMap()) }),
    fc.record({
      resourceLimits: fc.oneof(
        fc.constantFrom(null, 1, 'x', Symbol('l')),
        fc.record({
          maxOldGenerationSizeMb: fc.oneof(
            fc.constantFrom('x', null, -1, 0, Number.NaN, Number.POSITIVE_INFINITY),
            bigs,
          ),
        }),
      ),
    }),
    fc.constantFrom(null, 1, 'x', true, 1n, Symbol('s'), () => 0),
    hostile('threads'),
    hostile('handler'),
    hostile('capacity'),
    hostile('handlerData'),
    hostile('resourceLimits'),
    hostile('batch'),
  );
  return { anything, edges, bigs, fd, fdLike, mask, data, eventInit, closeOptions, startOptions };
}

/** Buffers of every kind, in every state; and what is none. */
export function buffers() {
  const made = [
    () => new Uint8Array(8),
    () => new Uint8Array(0),
    () => Buffer.alloc(16),
    () => new DataView(new ArrayBuffer(8)),
    () => new BigUint64Array(1),
    () => new Float64Array(2),
    () => new Uint8Array(new SharedArrayBuffer(8)),
    () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 64 })),
    () => {
      const view = new Uint8Array(new ArrayBuffer(16, { maxByteLength: 64 }), 8);
      view.buffer.resize(4);
      return view;
    },
    () => {
      const view = new DataView(new ArrayBuffer(16, { maxByteLength: 64 }), 8);
      view.buffer.resize(4);
      return view;
    },
    () => {
      const view = new Uint8Array(8);
      structuredClone(view.buffer, { transfer: [view.buffer] });
      return view;
    },
    () => {
      const view = new DataView(new ArrayBuffer(8));
      structuredClone(view.buffer, { transfer: [view.buffer] });
      return view;
    },
    () => Object.defineProperty(new Uint8Array(1), 'byteLength', { value: 1 << 20 }),
    () => Object.defineProperty(new Uint8Array(1), 'length', { value: 1 << 20 }),
    () => new Proxy(new Uint8Array(8), {}),
    () => Object.create(Uint8Array.prototype),
    () => new ArrayBuffer(8),
    () => new SharedArrayBuffer(8),
    () => 'text',
    () => [1, 2],
    () => null,
    () => undefined,
    () => 8,
    () => ({ byteLength: 8 }),
  ];
  return fc.nat({ max: made.length - 1 }).map(i => made[i]());
}
