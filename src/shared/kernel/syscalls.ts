/**
 * Every system call of the package, through koffi. A new one: its type in Libc, its definition in load(), and a function here
 * (or in sockets.ts); sys.ts offers it to users. The folder kernel/ is all that is unsafe.
 *
 * A call returns what the kernel returned, or the negative errno. Callers have checked their arguments: numbers are in range,
 * and each buffer is as long as the length beside it says.
 */
import type { KoffiFunc, node as koffiNode } from 'koffi';
import { EBADF, EINTR, ENOENT, unavailable } from '../errors.js';
import { type Koffi, loadKoffi } from './koffi.js';
import { defineUv, EventLoop, type Uv } from './uv.js';

/** A buffer that a call fills or reads. */
export type Memory = NodeJS.ArrayBufferView;

/** A handle of the event loop's that watches one fd for reading. */
export type PollHandle = koffiNode.PollHandle;

/**
 * struct epoll_event in 32-bit words: packed on x86-64 and only there (uapi/linux/eventpoll.h, EPOLL_PACKED), so data
 * follows the mask at once; elsewhere the 64 bits are aligned to 8.
 */
export const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
/** Where the low and the high half of data stand in it. */
export const DATA_LOW = EVENT_WORDS - 2;
export const DATA_HIGH = EVENT_WORDS - 1;
/** The most events that one epoll_wait takes: EP_MAX_EVENTS of fs/eventpoll.c. */
export const MAX_EVENTS = Math.floor(0x7fff_ffff / (EVENT_WORDS * 4));

export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x8_0000;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const CLOCK_MONOTONIC = 1;
const NR_EPOLL_PWAIT2 = 441;
const NR_PIDFD_OPEN = 434;
const NR_KCMP = process.arch === 'x64' ? 312 : 272;
const NR_FSTAT = process.arch === 'x64' ? 5 : 80;
/** Where st_mode stands in struct stat, in 32-bit words: st_nlink comes before it on x86-64, after it elsewhere. */
const STAT_MODE = process.arch === 'x64' ? 6 : 4;
const KCMP_EPOLL_TFD = 7;
const SIGSET_BYTES = 8;

export type Call<A extends unknown[]> = KoffiFunc<(...args: A) => number>;

/** All that is called. */
export interface Libc {
  readonly koffi: Koffi;
  readonly uv: Uv | undefined;
  readonly errno: () => number;
  readonly addressOf: (memory: Memory) => bigint;
  readonly epollWait: Call<[epfd: number, events: Memory, max: number, timeout: number]>;
  readonly epollWaitAt: Call<[epfd: number, events: number, max: number, timeout: number]>;
  readonly read: Call<[fd: number, buffer: Memory, length: number]>;
  readonly readAt: Call<[fd: number, address: number, length: number]>;
  readonly write: Call<[fd: number, buffer: Memory, length: number]>;
  readonly writeAt: Call<[fd: number, address: number, length: number]>;
  readonly poll: Call<[fds: Memory, count: number, timeout: number]>;
  readonly epoll_create1: Call<[flags: number]>;
  readonly epoll_ctl: Call<[epfd: number, op: number, fd: number, event: Memory | null]>;
  readonly eventfd: Call<[initial: number, flags: number]>;
  readonly timerfd_create: Call<[clock: number, flags: number]>;
  readonly timerfd_settime: Call<[fd: number, flags: number, value: Memory, old: null]>;
  readonly pipe2: Call<[fds: Memory, flags: number]>;
  readonly socket: Call<[domain: number, type: number, protocol: number]>;
  readonly dup3: Call<[from: number, to: number, flags: number]>;
  readonly socketpair: Call<[domain: number, type: number, protocol: number, fds: Memory]>;
  readonly accept4: Call<[fd: number, address: Memory | null, length: Memory | null, flags: number]>;
  readonly setsockopt: Call<[fd: number, level: number, name: number, value: Memory, length: number]>;
  readonly getsockopt: Call<[fd: number, level: number, name: number, value: Memory, length: Memory]>;
  readonly bind: Call<[fd: number, address: Memory, length: number]>;
  readonly listen: Call<[fd: number, backlog: number]>;
  readonly connect: Call<[fd: number, address: Memory, length: number]>;
  readonly shutdown: Call<[fd: number, how: number]>;
  readonly getsockname: Call<[fd: number, address: Memory, length: Memory]>;
  readonly getpeername: Call<[fd: number, address: Memory, length: Memory]>;
  readonly inet_pton: Call<[family: number, text: string, address: Memory]>;
  readonly inet_ntop: KoffiFunc<(family: number, address: Memory, text: Memory, bytes: number) => unknown>;
  readonly if_nametoindex: Call<[name: string]>;
  readonly if_indextoname: KoffiFunc<(index: number, name: Memory) => unknown>;
  readonly fcntl: Call<[fd: number, command: number, argument: number]>;
  readonly close: Call<[fd: number]>;
  readonly sched_yield: Call<[]>;
  readonly epoll_pwait2: Call<
    [nr: number, epfd: number, events: Memory, max: number, timeout: Memory, mask: null, bytes: number]
  >;
  readonly pidfd_open: Call<[nr: number, pid: number, flags: number]>;
  readonly fstat: Call<[nr: number, fd: number, out: Memory]>;
  readonly kcmp: Call<[nr: number, pid1: number, pid2: number, type: number, fd: number, slot: Memory]>;
}

let loaded: Libc | undefined;

/** Loads koffi at the first call, so that importing the package works on every platform. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

/**
 * Throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where there is no epoll. Otherwise the calls are ready after it.
 *
 * @param from what `koffiBinary` said in another thread
 */
export function requireLinux(from?: string): void {
  loaded ??= load(from);
}

/** koffi, as this thread has loaded it: for the other functions that the process has. */
export function native(): Koffi {
  return libc().koffi;
}

/** The file of koffi's native part: a thread that is given it need not look for it, which takes five times as long as loading it. */
export function koffiBinary(): string | undefined {
  libc();
  return binary;
}

let binary: string | undefined;

/**
 * All functions at once: koffi aborts the process when a thread is ended (worker.terminate(), process.exit()) while it
 * loads or defines one. So a thread is safe from its first call on.
 */
function load(from?: string): Libc {
  const { platform, arch } = process;
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    throw unavailable(`epoll-pool needs Linux on x64 or arm64; this is ${platform}-${arch}`);
  }
  const { koffi, file, define } = loadKoffi(from);
  binary = file;
  return {
    koffi,
    uv: defineUv(koffi, define),
    errno: koffi.errno,
    addressOf: koffi.address,
    epollWait: define('epoll_wait', 'int', ['int', 'void *', 'int', 'int']),
    epollWaitAt: define('epoll_wait', 'int', ['int', 'size_t', 'int', 'int']),
    read: define('read', 'long', ['int', 'void *', 'size_t']),
    readAt: define('read', 'long', ['int', 'size_t', 'size_t']),
    write: define('write', 'long', ['int', 'void *', 'size_t']),
    writeAt: define('write', 'long', ['int', 'size_t', 'size_t']),
    poll: define('poll', 'int', ['void *', 'ulong', 'int']),
    epoll_create1: define('epoll_create1', 'int', ['int']),
    epoll_ctl: define('epoll_ctl', 'int', ['int', 'int', 'int', 'void *']),
    eventfd: define('eventfd', 'int', ['uint', 'int']),
    timerfd_create: define('timerfd_create', 'int', ['int', 'int']),
    timerfd_settime: define('timerfd_settime', 'int', ['int', 'int', 'void *', 'void *']),
    pipe2: define('pipe2', 'int', ['void *', 'int']),
    socket: define('socket', 'int', ['int', 'int', 'int']),
    dup3: define('dup3', 'int', ['int', 'int', 'int']),
    socketpair: define('socketpair', 'int', ['int', 'int', 'int', 'void *']),
    accept4: define('accept4', 'int', ['int', 'void *', 'void *', 'int']),
    setsockopt: define('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint']),
    getsockopt: define('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
    bind: define('bind', 'int', ['int', 'void *', 'uint']),
    listen: define('listen', 'int', ['int', 'int']),
    connect: define('connect', 'int', ['int', 'void *', 'uint']),
    shutdown: define('shutdown', 'int', ['int', 'int']),
    getsockname: define('getsockname', 'int', ['int', 'void *', 'void *']),
    getpeername: define('getpeername', 'int', ['int', 'void *', 'void *']),
    inet_pton: define('inet_pton', 'int', ['int', 'str', 'void *']),
    inet_ntop: define('inet_ntop', 'size_t', ['int', 'void *', 'void *', 'uint']),
    if_nametoindex: define('if_nametoindex', 'uint', ['str']),
    if_indextoname: define('if_indextoname', 'size_t', ['uint', 'void *']),
    fcntl: define('fcntl', 'int', ['int', 'int', 'long']),
    close: define('close', 'int', ['int']),
    sched_yield: define('sched_yield', 'int', []),
    // Variadic in C; on Linux x64 and arm64 integers and pointers are passed alike either way.
    epoll_pwait2: define('syscall', 'long', ['long', 'int', 'void *', 'int', 'void *', 'void *', 'size_t']),
    pidfd_open: define('syscall', 'long', ['long', 'int', 'uint']),
    fstat: define('syscall', 'long', ['long', 'int', 'void *']),
    kcmp: define('syscall', 'long', ['long', 'int', 'int', 'int', 'ulong', 'void *']),
  };
}

/** The negative errno of a call that has just returned -1: read before anything else runs. */
export function failure(): number {
  return -libc().errno();
}

/** Of larger views the place is not kept: what a view is part of is held until the next call with another. */
const KEPT_BYTES = 1 << 20;

/**
 * Where the buffer lies that one of the calls was given last. koffi asks V8 for that each time, which is a tenth of a call
 * and more when caches are cold; here it is asked from the second time in a row on.
 *
 * It stays true: V8 does not move what was asked for once, a resizable buffer has its address for good, and whatever was
 * detached, or shrunk away, has a length of 0, for which callers pass another buffer. The view is held meanwhile.
 */
export class Place {
  #memory: Memory | undefined;
  #address = 0;

  /** @param bytes how long the buffer is @returns 0: not known */
  of(c: Pick<Libc, 'addressOf'>, memory: Memory, bytes: number): number {
    if (memory !== this.#memory) {
      this.#memory = bytes > KEPT_BYTES ? undefined : memory;
      this.#address = 0;
    } else if (this.#address === 0) {
      this.#address = Number(c.addressOf(memory));
    }
    return this.#address;
  }
}

const waited = new Place();
const filled = new Place();
const written = new Place();

// ---- epoll -------------------------------------------------------------------------------------------

/** epoll_create1(EPOLL_CLOEXEC) */
export function epollCreate(): number {
  const c = libc();
  const fd = c.epoll_create1(O_CLOEXEC);
  return fd < 0 ? failure() : fd;
}

/** @param event one struct epoll_event; the kernel ignores it for EPOLL_CTL_DEL */
export function epollControl(epfd: number, op: number, fd: number, event: Memory | null): number {
  const c = libc();
  return c.epoll_ctl(epfd, op, fd, event) < 0 ? failure() : 0;
}

/** One epoll_wait, not retried. @param milliseconds whole; -1 waits for ever */
export function epollWait(epfd: number, events: Memory, max: number, milliseconds: number): number {
  const c = libc();
  const at = waited.of(c, events, max * EVENT_WORDS * 4);
  const n = at === 0 ? c.epollWait(epfd, events, max, milliseconds) : c.epollWaitAt(epfd, at, max, milliseconds);
  return n < 0 ? failure() : n;
}

const timespec = new BigInt64Array(2);

/** One epoll_pwait2 (Linux 5.11), not retried; older kernels and sandboxes refuse it. @param milliseconds at least 0, with fractions */
export function epollWaitPrecise(epfd: number, events: Memory, max: number, milliseconds: number): number {
  const c = libc();
  setTimespec(timespec, 0, milliseconds);
  const n = c.epoll_pwait2(NR_EPOLL_PWAIT2, epfd, events, max, timespec, null, SIGSET_BYTES);
  return n < 0 ? failure() : n;
}

const watched = new Uint32Array(3);

/**
 * Whether `fd` still is the file that was registered with `epfd` under that number (kcmp(2), KCMP_EPOLL_TFD).
 * True as well where the kernel does not say: it may be built without kcmp, and sandboxes refuse it, with any errno.
 */
export function isRegisteredFile(epfd: number, fd: number): boolean {
  const c = libc();
  watched[0] = epfd;
  watched[1] = fd;
  // A file that was dup'ed and closed stays registered under its old number, beside the one that has the number now.
  for (let nth = 0; ; nth++) {
    watched[2] = nth;
    const order = c.kcmp(NR_KCMP, process.pid, process.pid, KCMP_EPOLL_TFD, fd, watched);
    if (order === 0) return true;
    if (order > 0) continue;
    const code = failure();
    return code !== -ENOENT && code !== -EBADF;
  }
}

/** Whether kcmp(2) tells. It may not be built in, and sandboxes refuse it. @param fd registered with `epfd` */
export function knowsRegisteredFiles(epfd: number, fd: number): boolean {
  watched.set([epfd, fd, 0]);
  return libc().kcmp(NR_KCMP, process.pid, process.pid, KCMP_EPOLL_TFD, fd, watched) >= 0;
}

/**
 * kcmp(2), KCMP_EPOLL_TFD, in another process: 0 if its `fd` is the file that its instance `epfd` watches as the `nth` of those
 * registered under the number `number`, above 0 if it is another, or the negative errno.
 */
export function compareWatched(pid: number, fd: number, epfd: number, number: number, nth: number): number {
  const c = libc();
  watched[0] = epfd;
  watched[1] = number;
  watched[2] = nth;
  const order = c.kcmp(NR_KCMP, pid, pid, KCMP_EPOLL_TFD, fd, watched);
  return order < 0 ? failure() : order;
}

/**
 * fstat(2): the mode, or the negative errno.
 *
 * @param out at least 144 bytes; the device comes first, then the inode, 64 bits each
 */
export function fileOf(fd: number, out: Int32Array): number {
  const c = libc();
  return c.fstat(NR_FSTAT, fd, out) < 0 ? failure() : (out[STAT_MODE] ?? 0);
}

/** poll(2) that only looks. @param fds `count` struct pollfd: int32 fd, int16 events, int16 revents */
export function pollNow(fds: Memory, count: number): number {
  const c = libc();
  for (;;) {
    const n = c.poll(fds, count, 0);
    if (n >= 0) return n;
    const code = failure();
    if (code !== -EINTR) return code;
  }
}

// ---- fds ---------------------------------------------------------------------------------------------

/** Close-on-exec, non-blocking. */
export function eventfd(initial: number): number {
  const c = libc();
  const fd = c.eventfd(initial, O_CLOEXEC | O_NONBLOCK);
  return fd < 0 ? failure() : fd;
}

/** Close-on-exec, non-blocking, CLOCK_MONOTONIC, armed as `setTimer` does it. */
export function timerfd(milliseconds: number, interval: number): number {
  const c = libc();
  const fd = c.timerfd_create(CLOCK_MONOTONIC, O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failure();
  const code = setTimer(fd, milliseconds, interval);
  if (code === 0) return fd;
  c.close(fd);
  return code;
}

/** Milliseconds, with fractions; an interval of 0 is one expiry, and -1 milliseconds disarm it. */
export function setTimer(fd: number, milliseconds: number, interval: number): number {
  const itimerspec = new BigInt64Array(4);
  if (milliseconds >= 0) {
    setTimespec(itimerspec, 0, interval);
    setTimespec(itimerspec, 2, milliseconds);
    if (itimerspec[2] === 0n && itimerspec[3] === 0n) itimerspec[3] = 1n; // all zero would disarm it
  }
  return libc().timerfd_settime(fd, 0, itimerspec, null) < 0 ? failure() : 0;
}

/** A process, by its id: readable once it has ended. Close-on-exec. */
export function pidfd(pid: number): number {
  const fd = libc().pidfd_open(NR_PIDFD_OPEN, pid, 0);
  return fd < 0 ? failure() : fd;
}

/** Rounds up to a whole nanosecond. */
function setTimespec(out: BigInt64Array, at: number, milliseconds: number): void {
  let seconds = Math.floor(milliseconds / 1000);
  let nanoseconds = Math.ceil((milliseconds - seconds * 1000) * 1e6);
  if (nanoseconds >= 1e9) {
    seconds += 1;
    nanoseconds -= 1e9;
  }
  out[at] = BigInt(seconds);
  out[at + 1] = BigInt(nanoseconds);
}

/** Two fds into `out`: the reading end, the writing end. */
export function pipe(out: Int32Array): number {
  const c = libc();
  return c.pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 ? failure() : 0;
}

export function read(fd: number, buffer: Memory, length: number): number {
  const c = libc();
  const at = filled.of(c, buffer, length);
  const n = at === 0 ? c.read(fd, buffer, length) : c.readAt(fd, at, length);
  return n < 0 ? failure() : n;
}

export function write(fd: number, buffer: Memory, length: number): number {
  const c = libc();
  const at = written.of(c, buffer, length);
  const n = at === 0 ? c.write(fd, buffer, length) : c.writeAt(fd, at, length);
  return n < 0 ? failure() : n;
}

/** A second fd for the same open file, close-on-exec. */
export function dup(fd: number): number {
  const c = libc();
  const copy = c.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? failure() : copy;
}

/** Makes `to`, which is closed first, another fd for the open file of `from`; close-on-exec. */
export function dupOnto(from: number, to: number): number {
  const c = libc();
  return c.dup3(from, to, O_CLOEXEC) < 0 ? failure() : to;
}

export function setNonblocking(fd: number): number {
  const c = libc();
  const flags = c.fcntl(fd, F_GETFL, 0);
  if (flags < 0) return failure();
  return c.fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? failure() : 0;
}

/** Not retried after EINTR: Linux has closed the fd by then. */
export function close(fd: number): number {
  const c = libc();
  if (c.close(fd) === 0) return 0;
  const code = failure();
  return code === -EINTR ? 0 : code;
}

/** Lets whatever else is ready to run on this core run first; comes back at once where there is nothing. */
export function yieldCore(): void {
  libc().sched_yield();
}

/** This thread's event loop, to be asked for once; undefined where it cannot be looked into. */
export function eventLoop(): EventLoop | undefined {
  const { uv } = libc();
  return uv && EventLoop.open(uv);
}

/** Watches `fd` for reading on this thread's event loop; the handle must be closed before the loop ends. */
export function watch(fd: number, callback: () => void): PollHandle {
  return libc().koffi.node.poll(fd, callback);
}
