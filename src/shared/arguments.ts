/** Checks of arguments, made before any system call. Each returns the value that it read, once. */
import { invalidType, outOfRange } from './errors.js';

/** An fd, or anything that carries one. */
export type FdLike = number | { readonly fd: number };

/** The interest and the caller's 64-bit identifier; `data` defaults to the fd, a number must be a safe integer >= 0. */
export interface EventInit {
  readonly events: number;
  readonly data?: bigint | number | undefined;
}

const INT32_MAX = 0x7fff_ffff;
const UINT32_MAX = 0xffff_ffff;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

/** A whole number from `low` to `high`. */
export function integer(value: unknown, name: string, low: number, high: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw outOfRange(name, `a whole number from ${low} to ${high}`, value);
  }
  return value + 0; // -0 is 0
}

/** A file descriptor: 0 to 2^31-1. */
export function descriptor(fd: FdLike, name = 'fd'): number {
  if (typeof fd === 'number') return fd >>> 0 === fd && fd <= INT32_MAX ? fd | 0 : integer(fd, name, 0, INT32_MAX);
  if ((typeof fd !== 'object' && typeof fd !== 'function') || fd === null) {
    throw invalidType(name, 'a file descriptor, or an object with one as its fd', fd);
  }
  const inner: unknown = fd.fd;
  if (typeof inner !== 'number') throw invalidType(`${name}.fd`, 'a number', inner);
  return integer(inner, `${name}.fd`, 0, INT32_MAX);
}

/** What a request is about: an fd, and which registration of it, if that was given. */
export interface Target {
  readonly fd: number;
  readonly id: number | undefined;
}

/** An fd, or an object with one; its `id`, if it is a number, says which registration is meant. Each is read once. */
export function target(fd: FdLike, name = 'fd'): Target {
  const number = descriptor(fd, name);
  const id: unknown = typeof fd === 'number' ? undefined : Reflect.get(fd, 'id');
  if (id === undefined || typeof id !== 'number') return { fd: number, id: undefined };
  return { fd: number, id: integer(id, `${name}.id`, -1, Number.MAX_SAFE_INTEGER) };
}

/** A file descriptor, as a number. */
export function rawDescriptor(fd: number): number {
  // The unsigned shift turns whatever is not such a number into one that differs.
  return typeof fd === 'number' && fd >>> 0 === fd && fd <= INT32_MAX ? fd | 0 : integer(fd, 'fd', 0, INT32_MAX);
}

/** An event mask, int32 or uint32; returned unsigned. */
export function mask(events: unknown, name = 'events'): number {
  if (typeof events !== 'number') throw invalidType(name, 'a number', events);
  if (events >>> 0 !== events && (events | 0) !== events) {
    throw outOfRange(name, 'a whole number of 32 bits', events);
  }
  return events >>> 0;
}

/** 64 bits from a bigint or a safe integer, as two halves in `out`: low, high. */
export function word64(data: unknown, out: Uint32Array, name = 'data'): void {
  if (typeof data === 'number') {
    if (!Number.isSafeInteger(data) || data < 0)
      throw outOfRange(name, 'a non-negative safe integer or a bigint', data);
    out[0] = data >>> 0;
    out[1] = Math.floor(data / 0x1_0000_0000);
  } else if (typeof data === 'bigint') {
    if (data < 0n || data > UINT64_MAX) throw outOfRange(name, 'from 0 to 2^64-1', data);
    out[0] = Number(data & 0xffff_ffffn);
    out[1] = Number(data >> 32n);
  } else {
    throw invalidType(name, 'a bigint or a number', data);
  }
}

/** Checks an EventInit; the data's halves go to `data` (the fd where none is given), the mask is returned unsigned. */
export function eventInit(event: EventInit, fd: number, data: Uint32Array): number {
  if ((typeof event !== 'object' && typeof event !== 'function') || event === null) {
    throw invalidType('event', 'an object with events, and data if it differs from the fd', event);
  }
  const events = mask(event.events, 'event.events');
  const given: unknown = event.data;
  if (given === undefined) {
    data[0] = fd;
    data[1] = 0;
  } else {
    word64(given, data, 'event.data');
  }
  return events;
}

/** A time-out in milliseconds: -1 and Infinity are for ever (returned as -1), fractions count. */
export function timeout(value: unknown, name = 'timeout'): number {
  if (typeof value !== 'number') throw invalidType(name, 'a number of milliseconds', value);
  if (value >= 0) return value === Number.POSITIVE_INFINITY ? -1 : value;
  if (value === -1) return -1;
  throw outOfRange(name, '-1 (for ever) or at least 0', value);
}

/** An object, for options bags. */
export function options(value: unknown, name = 'options'): void {
  if (typeof value !== 'object' || value === null) throw invalidType(name, 'an object', value);
}

/** A buffer that a system call may fill or read; its length is asked of the view's own intrinsic getter. */
export function bufferLength(view: unknown, name = 'buffer'): number {
  if (!ArrayBuffer.isView(view)) throw invalidType(name, 'a Buffer, TypedArray or DataView', view);
  return kindOf.call(view) === undefined ? dataViewLength(view) : ofTypedArray.call(view);
}

type Get<T> = (this: ArrayBufferView) => T;

function intrinsic<T>(prototype: object, property: 'byteLength' | typeof Symbol.toStringTag): Get<T> {
  const get: Get<T> | undefined = Object.getOwnPropertyDescriptor(prototype, property)?.get;
  if (get === undefined) throw new Error(`no ${String(property)}`);
  return get;
}

// A subclass, or a property of one object, can say any byteLength; the kernel would believe it.
const TypedArray: object = Object.getPrototypeOf(Uint8Array.prototype);
const ofTypedArray = intrinsic<number>(TypedArray, 'byteLength');
const ofDataView = intrinsic<number>(DataView.prototype, 'byteLength');
/** The name of a typed array's class; undefined for a DataView. */
const kindOf = intrinsic<string | undefined>(TypedArray, Symbol.toStringTag);

function dataViewLength(view: ArrayBufferView): number {
  try {
    return ofDataView.call(view);
  } catch {
    // Its buffer was detached, or has shrunk away from under it.
    return 0;
  }
}

/** An AbortSignal, or nothing. */
export function abortSignal(value: unknown, name: string): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (!isAbortSignal(value)) throw invalidType(name, 'an AbortSignal', value);
  return value;
}

function isAbortSignal(value: unknown): value is AbortSignal {
  try {
    // The getter refuses what only inherits from the prototype.
    return value instanceof AbortSignal && typeof value.aborted === 'boolean';
  } catch {
    return false;
  }
}

const UNSIGNED32: readonly [number, number] = [0, UINT32_MAX];

/** An unsigned 32-bit number. */
export function uint32(value: unknown, name: string): number {
  return integer(value, name, ...UNSIGNED32);
}

/** Whole and fractional milliseconds of a timer: at least 0, finite, small enough to count exactly. */
export function duration(value: unknown, name: string): number {
  if (typeof value !== 'number') throw invalidType(name, 'a number of milliseconds', value);
  if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw outOfRange(name, 'from 0 to 2^53-1', value);
  return value;
}

/** True or false; undefined is false. */
export function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw invalidType(name, 'true or false', value);
  return value;
}
