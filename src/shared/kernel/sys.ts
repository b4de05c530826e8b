/// <reference types="node" preserve="true" />
/** `epoll-pool/sys`: the few calls that fds which are not sockets of Node's need. */
import * as args from '../arguments.js';
import { EAGAIN, EINTR, EpollError } from '../errors.js';
import * as sockets from './sockets.js';
import * as sys from './syscalls.js';
import { readInto, writeFrom } from './transfer.js';

export type { SocketAddress } from './socket-address.js';
export {
  type ConnectOptions,
  connect,
  type ListenOptions,
  listen,
  localAddress,
  remoteAddress,
  shutdown,
  socketError,
} from './stream-sockets.js';

const ECONNABORTED = 103;
const INT32_MAX = 0x7fff_ffff;

function checked(result: number, syscall: string, fd?: number): number {
  if (result < 0) throw new EpollError(result, syscall, fd);
  return result;
}

/**
 * eventfd(2): a counter, close-on-exec and non-blocking.
 *
 * @param initial 0 to 2^32-1
 * @throws EpollError EMFILE, ENFILE, ENOMEM
 */
export function eventfd(initial = 0): number {
  return checked(sys.eventfd(args.uint32(initial, 'initial')), 'eventfd');
}

/**
 * timerfd_create(2) on CLOCK_MONOTONIC, armed: first expiry after `ms` (0: at once), then every `intervalMs` if above 0.
 * Milliseconds; fractions count. A read gives 8 bytes: how often it has expired since the last read.
 *
 * @throws EpollError EMFILE, ENFILE, ENOMEM
 */
export function timerfd(ms: number, intervalMs = 0): number {
  return checked(sys.timerfd(args.duration(ms, 'ms'), args.duration(intervalMs, 'intervalMs')), 'timerfd_create');
}

/**
 * timerfd_settime(2): arms a timerfd again, as `timerfd` does it, from now on; `ms` -1 disarms it. What has expired and
 * was not read is forgotten.
 *
 * @throws EpollError EBADF, EINVAL (no timerfd)
 */
export function setTimer(fd: number, ms: number, intervalMs = 0): void {
  args.rawDescriptor(fd);
  const first = ms === -1 ? -1 : args.duration(ms, 'ms');
  checked(sys.setTimer(fd, first, args.duration(intervalMs, 'intervalMs')), 'timerfd_settime', fd);
}

/**
 * pidfd_open(2): a process by its id, close-on-exec and non-blocking; readable (EPOLLIN) once the process has ended, from
 * then on. There is nothing to read: close it. Linux 5.3.
 *
 * @throws EpollError ESRCH (no such process), EINVAL (a thread's id), EMFILE, ENFILE, ENOSYS
 */
export function pidfd(pid: number): number {
  const fd = checked(sys.pidfd(args.integer(pid, 'pid', 1, INT32_MAX)), 'pidfd_open');
  // Not all kernels that have the call take its flag for this.
  sys.setNonblocking(fd);
  return fd;
}

/** pipe2(2), close-on-exec and non-blocking. @throws EpollError EMFILE, ENFILE */
export function pipe(): { readable: number; writable: number } {
  const [readable, writable] = pair(sys.pipe, 'pipe2');
  return { readable, writable };
}

/** socketpair(2): two connected AF_UNIX stream sockets, close-on-exec and non-blocking. @throws EpollError EMFILE, ENFILE */
export function socketpair(): [number, number] {
  return pair(sockets.socketpair, 'socketpair');
}

function pair(call: (out: Int32Array) => number, syscall: string): [number, number] {
  const fds = new Int32Array(2);
  checked(call(fds), syscall);
  const [first = -1, second = -1] = fds;
  return [first, second];
}

/**
 * accept4(2): the next connection's fd, close-on-exec and non-blocking, or -1 when none is waiting. Connections that
 * were aborted before they were accepted are passed over.
 *
 * @throws EpollError EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EINVAL, ENOTSOCK …
 */
export function accept(fd: number): number {
  args.rawDescriptor(fd);
  for (;;) {
    const accepted = sockets.accept(fd);
    if (accepted >= 0) return accepted;
    if (accepted === -EAGAIN) return -1;
    if (accepted !== -EINTR && accepted !== -ECONNABORTED) throw new EpollError(accepted, 'accept4', fd);
  }
}

/**
 * read(2): how many bytes were read; 0 at end of stream (or into an empty buffer); -1 when it would block.
 *
 * @throws EpollError ECONNRESET, EBADF …
 */
export function read(fd: number, buffer: NodeJS.ArrayBufferView): number {
  return readInto(args.rawDescriptor(fd), buffer);
}

/**
 * write(2): how many bytes were written, which may be fewer than there are; -1 when it would block.
 *
 * @throws EpollError EPIPE, ECONNRESET, EBADF …
 */
export function write(fd: number, buffer: NodeJS.ArrayBufferView): number {
  return writeFrom(args.rawDescriptor(fd), buffer);
}

/** A second fd for the same open file (fcntl F_DUPFD_CLOEXEC), which shares its flags. @throws EpollError EBADF, EMFILE */
export function dup(fd: number): number {
  return checked(sys.dup(args.rawDescriptor(fd)), 'fcntl', fd);
}

/** Sets O_NONBLOCK on the open file behind the fd. @throws EpollError EBADF */
export function setNonblocking(fd: number): void {
  checked(sys.setNonblocking(args.rawDescriptor(fd)), 'fcntl', fd);
}

/** close(2). @throws EpollError EBADF; EIO and the like, with the fd closed all the same */
export function close(fd: number): void {
  checked(sys.close(args.rawDescriptor(fd)), 'close', fd);
}
