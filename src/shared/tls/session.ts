/**
 * TLS sessions (an SSL each) on non-blocking sockets, by their address: a plain number, which may stand in shared memory.
 * One thread at a time may use a session; which one may change from call to call. Nothing here throws for what a peer
 * sends, and nothing in this file allocates.
 *
 * For edge-triggered use: register the socket as IN|OUT once. At any event, go on with what was last refused:
 * - handshake() until DONE;
 * - read() until WANT_READ, whatever it gave before: decrypted bytes may lie in the session, of which epoll knows nothing.
 *   A server's may say so after a record that is no data, with more to come: until wireBytesRead() has not grown either.
 *   Whoever stops earlier (backpressure) must call read() again later without an event;
 * - a write() that said WANT_WRITE comes again with the same bytes (they may have moved), at least as many, up to
 *   RECORD_BYTES: the session holds them encrypted already.
 * read() may say WANT_WRITE, and write() WANT_READ (a key update); call the same function again at the next event.
 * After FAILED only freeSession() and lastFailure() are of use.
 *
 * A thread never dies inside a call: worker.terminate() and process.exit() wait for native code to return. What it had read
 * may be lost with it, so such a session cannot go on; freeSession() in any thread, once the thread has ended, frees all of it.
 */
import {
  BIO_CTRL_EOF,
  type Openssl,
  openssl,
  SSL_CTRL_SET_TLSEXT_HOSTNAME,
  SSL_ERROR_SYSCALL,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  SSL_ERROR_ZERO_RETURN,
  SSL_SENT_AND_RECEIVED_SHUTDOWN,
} from '../kernel/openssl.js';
import { Place } from '../kernel/syscalls.js';
import { keepFailure } from './errors.js';

export { lastFailure, type TlsFailure } from './errors.js';

/** handshake(): agreed; the certificate was accepted, if one was asked for. shutdown(): both ends have been told. */
export const DONE = 1;
/** read(): the peer sends no more; see wasTruncated(). shutdown(): close_notify is sent, the peer's is still to come. */
export const END = 0;
/** Again when the socket is readable. */
export const WANT_READ = -1;
/** Again when the socket is writable. */
export const WANT_WRITE = -2;
/** It is over: lastFailure() says why. */
export const FAILED = -3;

/** The most bytes that one write() takes. */
export const RECORD_BYTES = 16_384;

const filled = new Place();
const written = new Place();

/**
 * Readies a thread: its first call of anything here would do so as well, but a thread that is ended meanwhile takes the
 * process with it, as with requireLinux().
 *
 * @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where Node has no OpenSSL that can be called
 */
export function requireTls(): void {
  openssl();
}

/** A server's end on `fd`, which stays the caller's (never closed here). 0: no memory. @param context its pointer */
export function acceptSession(context: number, fd: number): number {
  const o = openssl();
  const ssl = start(o, context, fd);
  if (ssl !== 0) o.SSL_set_accept_state(ssl);
  return ssl;
}

/**
 * A client's end on `fd`, a socket that is connected.
 *
 * @param servername as TlsContext has it
 * @param resume what takeResumption() gave, or 0
 */
export function connectSession(
  context: number,
  fd: number,
  servername: Uint8Array | undefined,
  resume: number,
): number {
  const o = openssl();
  const ssl = start(o, context, fd);
  if (ssl === 0) return 0;
  o.SSL_set_connect_state(ssl);
  if (servername) o.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, servername);
  if (resume !== 0) o.SSL_set_session(ssl, resume);
  return ssl;
}

function start(o: Openssl, context: number, fd: number): number {
  const ssl = o.SSL_new(context);
  if (ssl === 0 || o.SSL_set_fd(ssl, fd) === 1) return ssl;
  o.SSL_free(ssl);
  return 0;
}

/** Frees the session, at any time and from any thread; sends nothing, and leaves the socket open. */
export function freeSession(ssl: number): void {
  const o = openssl();
  // Otherwise a connection that ends without close_notify takes what it could be resumed with along.
  o.SSL_set_shutdown(ssl, SSL_SENT_AND_RECEIVED_SHUTDOWN);
  o.SSL_free(ssl);
}

/** DONE, WANT_READ, WANT_WRITE or FAILED (the peer was sent an alert). */
export function handshake(ssl: number): number {
  const o = openssl();
  o.ERR_clear_error();
  const result = o.SSL_do_handshake(ssl);
  if (result === 1) return DONE;
  const error = o.SSL_get_error(ssl, result);
  return error === SSL_ERROR_ZERO_RETURN ? failed(o, ssl, error) : outcome(o, ssl, error);
}

/** How many bytes it gave into `buffer` from `offset` on, END, WANT_READ, WANT_WRITE or FAILED. @param length above 0 */
export function read(ssl: number, buffer: Uint8Array, offset: number, length: number): number {
  const o = openssl();
  const at = filled.of(o, buffer, buffer.byteLength) || Number(o.addressOf(buffer));
  o.ERR_clear_error();
  const bytes = o.SSL_read(ssl, at + offset, length);
  return bytes > 0 ? bytes : outcome(o, ssl, o.SSL_get_error(ssl, bytes));
}

/** How many of the bytes it took, at most RECORD_BYTES; WANT_READ, WANT_WRITE or FAILED. A length of 0 takes nothing. */
export function write(ssl: number, buffer: Uint8Array, offset: number, length: number): number {
  if (length === 0) return 0;
  const o = openssl();
  const at = written.of(o, buffer, buffer.byteLength) || Number(o.addressOf(buffer));
  o.ERR_clear_error();
  const bytes = o.SSL_write(ssl, at + offset, length);
  return bytes > 0 ? bytes : unsent(o, ssl, o.SSL_get_error(ssl, bytes));
}

/**
 * Sends close_notify: END (sent), DONE (sent, and the peer's has come), WANT_WRITE or FAILED. Only after the handshake, and
 * not while a write() waits. read() still gives what the peer sends until its end.
 */
export function shutdown(ssl: number): number {
  const o = openssl();
  o.ERR_clear_error();
  const result = o.SSL_shutdown(ssl);
  return result >= 0 ? result : unsent(o, ssl, o.SSL_get_error(ssl, result));
}

/** Decrypted bytes that read() will give without the socket. */
export function pending(ssl: number): number {
  return openssl().SSL_pending(ssl);
}

/** After END of read(): the TCP connection ended without close_notify, so what came may have been cut short. */
export function wasTruncated(ssl: number): boolean {
  const o = openssl();
  return o.BIO_ctrl(o.SSL_get_rbio(ssl), BIO_CTRL_EOF, 0, null) === 1;
}

/** How many bytes it has read from its socket so far, handshake and all. */
export function wireBytesRead(ssl: number): number {
  const o = openssl();
  return o.BIO_number_read(o.SSL_get_rbio(ssl));
}

/** How many it has written. */
export function wireBytesWritten(ssl: number): number {
  const o = openssl();
  return o.BIO_number_written(o.SSL_get_rbio(ssl)); // one BIO is for both, and stays when the handshake's buffer goes
}

/** Whether it goes on with an earlier session. */
export function wasResumed(ssl: number): boolean {
  return openssl().SSL_session_reused(ssl) === 1;
}

/**
 * What a later session with the same server can go on with, for connectSession() in any thread and as often as wished;
 * 0 while there is none: with TLS 1.3 it comes some time after the handshake, with what read() takes, and a resumed session
 * need not get another (Node's server gives none); the one before is still good then. freeResumption() must follow.
 */
export function takeResumption(ssl: number): number {
  const o = openssl();
  const session = o.SSL_get1_session(ssl);
  if (session === 0 || o.SSL_SESSION_is_resumable(session) === 1) return session;
  o.SSL_SESSION_free(session);
  return 0;
}

export function freeResumption(resumption: number): void {
  openssl().SSL_SESSION_free(resumption);
}

/** What a call that gave nothing was for. */
function outcome(o: Openssl, ssl: number, error: number): number {
  if (error === SSL_ERROR_WANT_READ) return WANT_READ;
  if (error === SSL_ERROR_WANT_WRITE) return WANT_WRITE;
  if (error === SSL_ERROR_ZERO_RETURN) return END;
  return failed(o, ssl, error);
}

/** The same for what sends: once the peer's end has been seen, OpenSSL calls a socket's failure by that name, too. */
function unsent(o: Openssl, ssl: number, error: number): number {
  return outcome(o, ssl, error === SSL_ERROR_ZERO_RETURN ? SSL_ERROR_SYSCALL : error);
}

function failed(o: Openssl, ssl: number, error: number): number {
  keepFailure(o, ssl, error);
  return FAILED;
}
