/** Sockets of `epoll-pool/sys` that listen and connect, over TCP or on a path, and what the kernel says of them. */
import * as args from '../arguments.js';
import { EADDRNOTAVAIL, EAFNOSUPPORT, EpollError, invalidType, outOfRange } from '../errors.js';
import { decode, encodeHost, encodePath, isNumericHost, PATH_BYTES, SOCKADDR_BYTES, type Target } from './sockaddr.js';
import type { SocketAddress } from './socket-address.js';
import * as sockets from './sockets.js';
import { close } from './syscalls.js';

const INT32_MAX = 0x7fff_ffff;
const MOST_PORT = 65_535;
/** Node's. */
const BACKLOG = 511;

export interface ListenOptions {
  /** A numeric address, IPv6 with its zone if need be. Default '::', which takes IPv4 too; '0.0.0.0' where there is no IPv6. */
  host?: string | undefined;
  /** 0 to 65,535; 0, the default: one that is free, which localAddress() tells. */
  port?: number | undefined;
  /** A unix socket instead: at most 107 bytes. It must not exist yet, and closing the fd does not remove it. With a first character NUL: a name of the abstract namespace. */
  path?: string | undefined;
  /** Connections that wait to be accepted; default 511. The sysctl net.core.somaxconn is a limit too. */
  backlog?: number | undefined;
  /** Others that say so too, in this process or another of the user's, listen on the same port; the kernel spreads connections. */
  reusePort?: boolean | undefined;
  /** '::' takes no IPv4. */
  ipv6Only?: boolean | undefined;
}

export interface ConnectOptions {
  /** A numeric address, IPv6 with its zone if need be; default '127.0.0.1'. */
  host?: string | undefined;
  /** 1 to 65,535. */
  port?: number | undefined;
  /** A unix socket instead, as for listen(). */
  path?: string | undefined;
}

/**
 * socket(2), bind(2) and listen(2): an fd that is readable while connections wait for accept(); close-on-exec and
 * non-blocking. SO_REUSEADDR is set for TCP.
 *
 * @throws TypeError, RangeError for arguments; EpollError EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOENT, ENODEV (the zone), EMFILE …
 */
export function listen(options: ListenOptions): number {
  args.options(options);
  const { host, port, path, backlog = BACKLOG, reusePort, ipv6Only } = options;
  const settings = {
    backlog: args.integer(backlog, 'options.backlog', 0, INT32_MAX),
    reusePort: args.flag(reusePort, 'options.reusePort'),
    ipv6Only: args.flag(ipv6Only, 'options.ipv6Only'),
  };
  if (path !== undefined) return listenAt(unixTarget(path, host, port), settings);
  const number = args.integer(port === undefined ? 0 : port, 'options.port', 0, MOST_PORT);
  if (host !== undefined) return listenAt(hostTarget(host, number), settings);
  try {
    return listenAt(hostTarget('::', number), settings);
  } catch (error) {
    if (settings.ipv6Only || !isWithoutIpv6(error)) throw error;
    return listenAt(hostTarget('0.0.0.0', number), settings);
  }
}

interface Settings {
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
}

function listenAt(target: Target, { backlog, reusePort, ipv6Only }: Settings): number {
  return opened(target, fd => {
    if (target.family !== sockets.AF_UNIX) check(sockets.setReuseAddress(fd), 'setsockopt', target);
    if (reusePort) check(sockets.setReusePort(fd), 'setsockopt', target);
    // Said either way: a sysctl has the default.
    if (target.family === sockets.AF_INET6) check(sockets.setIpv6Only(fd, ipv6Only), 'setsockopt', target);
    check(sockets.bind(fd, target.bytes), 'bind', target);
    check(sockets.listen(fd, backlog), 'listen', target);
  });
}

/**
 * socket(2) and connect(2), which goes on in the background: the fd is writable (EPOLLOUT) once that has ended, and
 * socketError() then says how. Close-on-exec and non-blocking; TCP_NODELAY is set for TCP. A unix socket is connected at
 * once, or this throws.
 *
 * @throws TypeError, RangeError for arguments; EpollError ENETUNREACH, ECONNREFUSED, ENOENT, EAGAIN (a unix socket's
 *   backlog is full), ENODEV (the zone), EMFILE …
 */
export function connect(options: ConnectOptions): number {
  args.options(options);
  const { host, port, path } = options;
  const target =
    path === undefined
      ? hostTarget(host === undefined ? '127.0.0.1' : host, args.integer(port, 'options.port', 1, MOST_PORT))
      : unixTarget(path, host, port);
  return opened(target, fd => {
    if (target.family !== sockets.AF_UNIX) check(sockets.setNoDelay(fd), 'setsockopt', target);
    check(sockets.connect(fd, target.bytes), 'connect', target);
  });
}

/** A socket to which `prepare` has been done; closed again if that throws. */
function opened(target: Target, prepare: (fd: number) => void): number {
  const fd = check(sockets.streamSocket(target.family), 'socket', target);
  try {
    prepare(fd);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

function check(result: number, syscall: string, target: Target): number {
  if (result < 0) throw new EpollError(result, syscall, undefined, target.text);
  return result;
}

function hostTarget(host: unknown, port: number): Target {
  if (typeof host !== 'string' || !isNumericHost(host)) {
    throw invalidType('options.host', "a numeric address, as dns.lookup() gives: '127.0.0.1', '::1'", host);
  }
  return encodeHost(host, port);
}

function unixTarget(path: unknown, host: unknown, port: unknown): Target {
  if (typeof path !== 'string') throw invalidType('options.path', 'a string', path);
  if (host !== undefined || port !== undefined) {
    throw invalidType('options', 'either a path, or a host and a port', { path, host, port });
  }
  const bytes = Buffer.from(path);
  const isAbstract = bytes[0] === 0;
  const most = isAbstract ? PATH_BYTES : PATH_BYTES - 1;
  if (bytes.length === 0 || bytes.length > most) throw outOfRange('options.path', `1 to ${most} bytes`, path);
  if (!isAbstract && bytes.includes(0)) throw outOfRange('options.path', 'without NUL, other than the first', path);
  return encodePath(bytes);
}

function isWithoutIpv6(error: unknown): boolean {
  return error instanceof EpollError && (error.errno === -EAFNOSUPPORT || error.errno === -EADDRNOTAVAIL);
}

/**
 * getsockopt(2) with SO_ERROR: how a connect(), or the connection since, has failed; that is forgotten by asking.
 *
 * @throws EpollError what there is: ECONNREFUSED, ETIMEDOUT, ECONNRESET …; EBADF, ENOTSOCK
 */
export function socketError(fd: number): void {
  const code = sockets.takeError(args.rawDescriptor(fd));
  if (code !== 0) throw new EpollError(code, 'getsockopt', fd);
}

const SIDES: ReadonlyMap<unknown, number> = new Map([
  ['read', 0],
  ['write', 1],
  ['both', 2],
]);

/**
 * shutdown(2): ends one side of a connection, or both; 'write' is the end of stream to the peer.
 *
 * @throws EpollError ENOTCONN, EBADF, ENOTSOCK
 */
export function shutdown(fd: number, how: 'read' | 'write' | 'both'): void {
  args.rawDescriptor(fd);
  const side = SIDES.get(how);
  if (side === undefined) throw invalidType('how', "'read', 'write' or 'both'", how);
  const code = sockets.shutdown(fd, side);
  if (code < 0) throw new EpollError(code, 'shutdown', fd);
}

const address = Buffer.alloc(SOCKADDR_BYTES);

/** getsockname(2): what the socket is bound to. @throws EpollError EBADF, ENOTSOCK; EAFNOSUPPORT for other families */
export function localAddress(fd: number): SocketAddress {
  return addressOf(sockets.getsockname(args.rawDescriptor(fd), address), 'getsockname', fd);
}

/** getpeername(2): what it is connected to. @throws EpollError ENOTCONN, EBADF, ENOTSOCK; EAFNOSUPPORT for other families */
export function remoteAddress(fd: number): SocketAddress {
  return addressOf(sockets.getpeername(args.rawDescriptor(fd), address), 'getpeername', fd);
}

function addressOf(length: number, syscall: string, fd: number): SocketAddress {
  if (length < 0) throw new EpollError(length, syscall, fd);
  const decoded = decode(address, length);
  if (decoded === undefined) throw new EpollError(EAFNOSUPPORT, syscall, fd);
  return decoded;
}
