/** Takes a connected socket away from Node. */
import { Socket } from 'node:net';
import { invalidState, invalidType } from '../shared/errors.js';
import { dup, setNonblocking } from '../shared/kernel/sys.js';
import { refuseOnDeno } from '../shared/runtime.js';

/**
 * Takes a connected socket away from Node and returns its non-blocking fd, now the caller's to close. The socket object
 * is destroyed by it; the connection stays up, and what the peer has sent is there to read.
 *
 * For sockets that nothing was read from yet (net.Server's `pauseOnConnect`, or in the 'connection' listener) and with
 * nothing left to send.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE; Error ERR_INVALID_STATE, EpollError EMFILE: the socket is then as it was; Error
 *   ERR_FEATURE_UNAVAILABLE_ON_PLATFORM on Deno
 */
export function detach(socket: Socket): number {
  if (!(socket instanceof Socket)) throw invalidType('socket', 'a net.Socket', socket);
  refuseOnDeno("detach() needs Node; listen() and accept() of 'epoll-pool/sys' give fds of one's own");
  const fd = fdOf(socket);
  if (socket.bytesRead > 0 || socket.readableLength > 0) {
    throw refusal("data was read from it already; net.Server's pauseOnConnect keeps it unread");
  }
  return take(socket, fd);
}

/**
 * The same, of one that is paused, whatever was read from it; `unread` is what Node has read and nobody has taken yet.
 *
 * @internal
 */
export function detachPaused(socket: Socket): { readonly fd: number; readonly unread: Buffer | undefined } {
  const fd = pausedFdOf(socket);
  if (socket.readableLength === 0) return { fd: take(socket, fd), unread: undefined };
  const copy = copyOf(fd);
  // read() would give it to them, too; and one that adopts the socket would take it twice.
  socket.removeAllListeners('data');
  const unread: unknown = socket.read();
  socket.destroy();
  return { fd: copy, unread: Buffer.isBuffer(unread) ? unread : undefined };
}

/**
 * The fd of one that detachPaused() would take.
 *
 * @throws as that
 * @internal
 */
export function pausedFdOf(socket: Socket): number {
  const fd = fdOf(socket);
  if (socket.readableFlowing === true) throw refusal('it is being read from; pause() it first');
  if (socket.readableLength > 0 && socket.readableEncoding !== null) {
    throw refusal('its unread data has become text; do without setEncoding()');
  }
  return fd;
}

function take(socket: Socket, fd: number): number {
  const copy = copyOf(fd);
  socket.destroy();
  return copy;
}

function copyOf(fd: number): number {
  const copy = dup(fd);
  setNonblocking(copy);
  return copy;
}

/** The fd of a socket about which Node knows nothing that the kernel does not know. */
function fdOf(socket: Socket): number {
  if (!(socket instanceof Socket)) throw invalidType('socket', 'a net.Socket', socket);
  const handle: unknown = Reflect.get(socket, '_handle');
  if (socket.destroyed || socket.connecting || typeof handle !== 'object' || handle === null) {
    throw refusal('it is not connected');
  }
  // A TLS socket's handle shows the fd of the connection beneath it.
  const fd: unknown = Reflect.get(handle, 'fd');
  if (typeof fd !== 'number' || fd < 0 || Reflect.get(socket, 'encrypted') === true) {
    throw refusal('no plain socket of the kernel is behind it (TLS, for one)');
  }
  if (isUnderTls(handle)) throw refusal('a TLSSocket lies upon it, which reads and writes what is on the way');
  // Of a terminal, libuv has opened an fd of its own.
  const standard = Reflect.get(socket, 'isTTY') === true ? 'a terminal' : standardStream(socket, fd);
  if (standard !== undefined) {
    throw refusal(`it is ${standard}, and no connection; dup(0) of 'epoll-pool/sys' gives the fd of standard input`);
  }
  if (!socket.readable || !socket.writable) throw refusal('one of its sides has ended');
  const queued: unknown = Reflect.get(handle, 'writeQueueSize');
  if (socket.writableLength > 0 || (typeof queued === 'number' && queued > 0)) {
    throw refusal('not all that was written to it has been sent; wait for the callback of write()');
  }
  return fd;
}

/** A pipe that Node has opened in one direction; a server that inetd has started has its connection there. */
function standardStream(socket: Socket, fd: number): string | undefined {
  if (fd === 0 && !socket.writable) return 'standard input';
  return (fd === 1 || fd === 2) && !socket.readable ? 'standard output' : undefined;
}

/** A TLSSocket takes a socket's handle into its own hands, and puts a getter over its `reading`: 20.19 to 26. */
function isUnderTls(handle: object): boolean {
  return Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}

function refusal(why: string): Error {
  return invalidState(`this socket cannot be detached: ${why}`);
}
