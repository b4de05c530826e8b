/** The system calls of sockets. As in syscalls.ts: what the kernel returned, or the negative errno. */
import { EINPROGRESS, EINTR } from '../errors.js';
import { failure, libc, type Memory, O_CLOEXEC, O_NONBLOCK, Place } from './syscalls.js';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export type Family = typeof AF_UNIX | typeof AF_INET | typeof AF_INET6;

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_REUSEPORT = 15;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

const value = new Int32Array(1);
const length = new Uint32Array(1);

/** Two connected stream sockets of AF_UNIX into `out`. */
export function socketpair(out: Int32Array): number {
  return libc().socketpair(AF_UNIX, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0, out) < 0 ? failure() : 0;
}

/** A UDP socket, bound to nothing; close-on-exec and non-blocking. */
export function udpSocket(): number {
  return socket(AF_INET, SOCK_DGRAM);
}

/** A stream socket; close-on-exec and non-blocking. */
export function streamSocket(family: Family): number {
  return socket(family, SOCK_STREAM);
}

function socket(family: Family, type: number): number {
  const fd = libc().socket(family, type | O_CLOEXEC | O_NONBLOCK, 0);
  return fd < 0 ? failure() : fd;
}

/** accept4, once; the new fd is close-on-exec and non-blocking. */
export function accept(fd: number): number {
  const accepted = libc().accept4(fd, null, null, O_CLOEXEC | O_NONBLOCK);
  return accepted < 0 ? failure() : accepted;
}

/** The same; the peer's struct sockaddr goes to `address`, whose first bytes are as many as `bytes` says then. */
export function acceptFrom(fd: number, address: Memory, bytes: Uint32Array): number {
  bytes[0] = address.byteLength;
  const accepted = libc().accept4(fd, address, bytes, O_CLOEXEC | O_NONBLOCK);
  return accepted < 0 ? failure() : accepted;
}

const filled = new Place();
const written = new Place();

/** read(2) into `buffer` from `offset` on, retried after EINTR. @param length at most what is behind `offset` */
export function receive(fd: number, buffer: Uint8Array, offset: number, length: number): number {
  const c = libc();
  const at = filled.of(c, buffer, buffer.byteLength) || Number(c.addressOf(buffer));
  for (;;) {
    const n = c.readAt(fd, at + offset, length);
    if (n >= 0) return n;
    const code = failure();
    if (code !== -EINTR) return code;
  }
}

/** write(2) of `buffer` from `offset` on, retried after EINTR. @param length at most what is behind `offset` */
export function send(fd: number, buffer: Uint8Array, offset: number, length: number): number {
  const c = libc();
  const at = written.of(c, buffer, buffer.byteLength) || Number(c.addressOf(buffer));
  for (;;) {
    const n = c.writeAt(fd, at + offset, length);
    if (n >= 0) return n;
    const code = failure();
    if (code !== -EINTR) return code;
  }
}

export function setReuseAddress(fd: number): number {
  return setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

export function setReusePort(fd: number): number {
  return setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

export function setNoDelay(fd: number): number {
  return setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

export function setIpv6Only(fd: number, only: boolean): number {
  return setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, only ? 1 : 0);
}

function setOption(fd: number, level: number, name: number, to: number): number {
  value[0] = to;
  return libc().setsockopt(fd, level, name, value, 4) < 0 ? failure() : 0;
}

/** SO_ERROR: what the socket has failed with, a positive errno that is forgotten with this; 0 for nothing. */
export function takeError(fd: number): number {
  length[0] = 4;
  return libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length) < 0 ? failure() : (value[0] ?? 0);
}

export function bind(fd: number, address: Memory): number {
  return libc().bind(fd, address, address.byteLength) < 0 ? failure() : 0;
}

export function listen(fd: number, backlog: number): number {
  return libc().listen(fd, backlog) < 0 ? failure() : 0;
}

/** 0 as well when it goes on in the background. */
export function connect(fd: number, address: Memory): number {
  if (libc().connect(fd, address, address.byteLength) === 0) return 0;
  const code = failure();
  return code === -EINPROGRESS || code === -EINTR ? 0 : code;
}

const UNSPECIFIED = new Uint8Array(16); // family 0, AF_UNSPEC

/**
 * connect(2) to AF_UNSPEC: a TCP socket is as it was before it was connected, its options and its place in epoll instances
 * kept, and can be connected anew.
 */
export function disconnect(fd: number): number {
  return libc().connect(fd, UNSPECIFIED, UNSPECIFIED.byteLength) < 0 ? failure() : 0;
}

/** @param how 0: reading, 1: writing, 2: both */
export function shutdown(fd: number, how: number): number {
  return libc().shutdown(fd, how) < 0 ? failure() : 0;
}

/** The struct sockaddr that the socket is bound to, into `out`. @returns its bytes */
export function getsockname(fd: number, out: Memory): number {
  length[0] = out.byteLength;
  return libc().getsockname(fd, out, length) < 0 ? failure() : (length[0] ?? 0);
}

/** The same of the peer. */
export function getpeername(fd: number, out: Memory): number {
  length[0] = out.byteLength;
  return libc().getpeername(fd, out, length) < 0 ? failure() : (length[0] ?? 0);
}

// ---- numbers and their text: libc's functions, which ask the kernel for an interface's name alone ------

/** @param text a numeric address, known to be one */
export function parseAddress(family: Family, text: string, out: Memory): void {
  libc().inet_pton(family, text, out);
}

const text = Buffer.alloc(64);

export function formatAddress(family: Family, address: Memory): string {
  libc().inet_ntop(family, address, text, text.length);
  return text.toString('latin1', 0, text.indexOf(0));
}

/** The index of a network interface; 0: there is none of that name. */
export function interfaceIndex(name: string): number {
  return libc().if_nametoindex(name);
}

/** The name of a network interface; the index itself where there is none. */
export function interfaceName(index: number): string {
  return libc().if_indextoname(index, text) === 0 ? String(index) : text.toString('latin1', 0, text.indexOf(0));
}
