/** What goes wrong, typed: EpollError for the kernel's answers, coded TypeError and RangeError for wrong arguments. */
import { constants } from 'node:os';
import { getSystemErrorMap, inspect } from 'node:util';

export const {
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

/** A failed system call, shaped like Node's own system errors: `errno` is negative, `code` is `'EBADF'`. */
export class EpollError extends Error {
  static {
    Object.defineProperty(EpollError.prototype, 'name', { value: 'EpollError', configurable: true, writable: true });
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

/** What this platform, or this build of Node, does not have. @param message default: not on Linux, or not on a processor that the package knows */
export function unavailable(message?: string): CodedError {
  const here = `${process.platform}-${process.arch}`;
  return coded(
    new Error(message ?? `epoll-pool needs Linux on x64 or arm64; this is ${here}`),
    'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM',
  );
}

/** What Node's own APIs reject with when their signal is aborted. */
export function aborted(signal: AbortSignal): DOMException {
  const error = new DOMException('This operation was aborted', 'AbortError');
  Object.defineProperty(error, 'cause', { value: signal.reason, configurable: true, writable: true });
  return error;
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
