/**
 * Errors across threads. Structured clone keeps an Error's name, message, stack and cause, but drops its own properties
 * (code, errno, path …), turns subclasses into plain Errors, and refuses what it cannot copy. This carries them.
 */
import { EpollError } from '../errors.js';

/** An error in a form that any MessagePort takes. */
export interface PackedError {
  readonly kind: 'error' | 'epoll';
  readonly base: Error;
  readonly own: ReadonlyArray<readonly [key: string, value: unknown]>;
}

const CLONED = new Set(['name', 'message', 'stack', 'cause']);
/** The names that structured clone keeps; every other becomes 'Error'. */
const NAMES = new Set(['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError']);

/** Of whatever was thrown: also of a proxy whose traps throw. */
export function packError(thrown: unknown): PackedError {
  try {
    return packed(thrown);
  } catch {
    return packed(new Error(`a handler threw ${describe(thrown)}, of which nothing can be read`));
  }
}

function packed(thrown: unknown): PackedError {
  const error = thrown instanceof Error ? thrown : notAnError(thrown);
  const own: Array<[string, unknown]> = [];
  // The code of a DOMException is not its own.
  for (const key of new Set([...Object.getOwnPropertyNames(error), 'code'])) {
    if (CLONED.has(key) || !(key in error)) continue;
    const value = cloneable(() => Reflect.get(error, key));
    if (value !== undefined) own.push([key, value.is]);
  }
  const name = cloneable(() => error.name)?.is;
  if (typeof name === 'string' && !NAMES.has(name)) own.push(['name', name]);
  const base = cloneable(() => error)?.is;
  return {
    kind: error instanceof EpollError ? 'epoll' : 'error',
    base: base instanceof Error ? base : bare(error),
    own: own,
  };
}

export function unpackError(packed: PackedError): Error {
  const error = ofItsKind(packed);
  for (const [key, value] of packed.own) {
    if (key !== 'name') define(error, key, value, true);
    else if (value !== error.name) define(error, key, value, false);
  }
  return error;
}

/** The base, or an EpollError with the base's message (which may name an address), stack and cause. */
function ofItsKind({ kind, base, own }: PackedError): Error {
  const fields = new Map(own);
  const [errno, syscall] = [fields.get('errno'), fields.get('syscall')];
  if (kind !== 'epoll' || typeof errno !== 'number' || typeof syscall !== 'string') return base;
  const error = new EpollError(errno, syscall);
  for (const key of ['message', 'stack', 'cause'] as const) {
    if (Object.hasOwn(base, key)) define(error, key, base[key], false);
  }
  return error;
}

function define(error: Error, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, configurable: true, enumerable, writable: true });
}

/** What a thread has thrown outside of its handler, as its worker tells it: an Error, whatever it was. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(describe(thrown));
}

/** 'error' events carry an Error, whatever a handler threw. */
function notAnError(thrown: unknown): Error {
  const cause = cloneable(() => thrown);
  return new Error(`a handler threw ${describe(thrown)}`, cause && { cause: cause.is });
}

function describe(thrown: unknown): string {
  try {
    return typeof thrown === 'symbol' ? thrown.toString() : String(thrown);
  } catch {
    return typeof thrown;
  }
}

/** Of an error that cannot be cloned: what can be told of it. */
function bare(error: Error): Error {
  const text = (key: 'message' | 'stack' | 'name'): string => {
    try {
      return String(error[key]);
    } catch {
      return '';
    }
  };
  const copy = new Error(text('message'));
  copy.name = text('name') || 'Error';
  copy.stack = text('stack');
  return copy;
}

/** The value, if a structured clone of it can be made. */
function cloneable(read: () => unknown): { is: unknown } | undefined {
  try {
    return { is: structuredClone(read()) };
  } catch {
    return undefined;
  }
}

/** What goes through a thread's port to the main thread. */
export type Parcel =
  | { readonly post: unknown }
  /** What a handler threw. */
  | { readonly error: PackedError };
