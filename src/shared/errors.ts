/** What goes wrong, typed: EpollError for the kernel's answers, coded TypeError and RangeError for wrong arguments. */
import { constants } from 'node:os';
import { getSystemErrorMap, inspect } from 'node:util';

export const {
  EACCES,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  EEXIST,
  EINPROGRESS,
  EINTR,
  EINVAL,
  EMFILE,
  ENFILE,
  ENODEV,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOSYS,
  EPERM,
} = constants.errno;

/** Errors whose cause is a limit that the machine's owner can raise: the limit's name. */
const LIMITS: Readonly<Record<string, string>> = {
  EMFILE: 'the limit is RLIMIT_NOFILE: ulimit -n',
  ENFILE: 'the limit is the sysctl fs.file-max',
  'ENOSPC epoll_ctl': 'the limit is the sysctl fs.epoll.max_user_watches',
  ENOMEM: 'the kernel had no memory for it: RLIMIT_AS, or the control group',
};

const BRAND = Symbol.for('epoll-pool.EpollError');

/** A failed system call, shaped like Node's own system errors: `errno` is negative, `code` is `'EBADF'`. */
export class EpollError extends Error {
  static {
    Object.defineProperty(EpollError.prototype, 'name', { value: 'EpollError', configurable: true, writable: true });
    Object.defineProperty(EpollError.prototype, BRAND, { value: true });
    Object.defineProperty(EpollError, Symbol.hasInstance, { value: hasInstance });
  }
  /** The symbolic name, as in errno(3). */
  readonly code: string;
  /** The number, negative as in Node's own errors. */
  readonly errno: number;
  /** The system call that failed. */
  readonly syscall: string;
  /** The fd that the call was about: epoll_ctl's target, the epoll fd of a wait. */
  declare readonly fd?: number;

  /**
   * @param subject what the call was about, where that is no fd: an address
   * @internal
   */
  constructor(errno: number, syscall: string, fd?: number, subject?: string) {
    const negative = -Math.abs(errno);
    const [code, text] = getSystemErrorMap().get(negative) ?? [nameOf(-negative), 'unknown error'];
    const limit = LIMITS[code] ?? LIMITS[`${code} ${syscall}`];
    const about = subject ?? (fd === undefined ? undefined : `fd ${fd}`);
    super(`${code}: ${text}, ${syscall}${about === undefined ? '' : ` (${about})`}${limit ? `; ${limit}` : ''}`);
    this.code = code;
    this.errno = negative;
    this.syscall = syscall;
    if (fd !== undefined) this.fd = fd;
  }
}

/** Also for those of another copy of the class: a handler that was bundled has one, beside the thread's own. */
function hasInstance(this: unknown, value: unknown): boolean {
  // A subclass has inherited it.
  if (this !== EpollError) return Function.prototype[Symbol.hasInstance].call(this, value);
  return typeof value === 'object' && value !== null && BRAND in value;
}

function nameOf(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `E${errno}`;
}

/** An Error with one of Node's codes. */
export type CodedError = Error & { readonly code: string };

function coded<E extends Error>(error: E, code: string): E & { readonly code: string } {
  return Object.assign(error, { code });
}

/** An argument of the wrong type: TypeError, ERR_INVALID_ARG_TYPE. */
export function invalidType(name: string, expected: string, value: unknown): CodedError {
  return coded(new TypeError(`${name} must be ${expected}; received ${shown(value)}`), 'ERR_INVALID_ARG_TYPE');
}

/** A value outside its range: RangeError, ERR_OUT_OF_RANGE. */
export function outOfRange(name: string, range: string, value: unknown): CodedError {
  return coded(new RangeError(`${name} must be ${range}; received ${shown(value)}`), 'ERR_OUT_OF_RANGE');
}

/** A call that the object's present state does not allow: Error, ERR_INVALID_STATE. */
export function invalidState(message: string): CodedError {
  return coded(new Error(message), 'ERR_INVALID_STATE');
}

/** What this platform, or this runtime, does not have: Error, ERR_FEATURE_UNAVAILABLE_ON_PLATFORM. */
export function unavailable(message: string): CodedError {
  return coded(new Error(message), 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM');
}

/** koffi, or its native part, is not there or cannot be loaded: Error, ERR_KOFFI_UNAVAILABLE, with the cause. */
export function koffiUnavailable(cause: unknown): CodedError {
  const native = `@koromix/koffi-${process.platform}-${process.arch}`;
  const message =
    `epoll-pool makes its system calls by the package koffi, which could not be loaded: ${firstLine(cause)}. ` +
    `Its native part is the package ${native}, which npm installs unless it is told --omit=optional; ` +
    'a bundle leaves koffi out ("external") and has it installed beside it; --permission needs --allow-addons';
  return coded(new Error(message, { cause }), 'ERR_KOFFI_UNAVAILABLE');
}

function firstLine(error: unknown): string {
  const [line = ''] = String(error instanceof Error ? error.message : error).split('\n');
  return line;
}

/** What Node's own APIs reject with when their signal is aborted. */
export function aborted(signal: AbortSignal): DOMException {
  const error = new DOMException('This operation was aborted', 'AbortError');
  Object.defineProperty(error, 'cause', { value: signal.reason, configurable: true, writable: true });
  return error;
}

/** What was thrown, in words; that may be anything. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** A value in a few words, whatever it is: a hostile proxy or getter must not replace the error by its own. */
function shown(value: unknown): string {
  try {
    const text =
      typeof value === 'function'
        ? `function ${value.name}`
        : inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY });
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
  } catch {
    return typeof value;
  }
}
