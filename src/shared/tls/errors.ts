/** Why a TLS call failed: what OpenSSL left in this thread's error queue, and what the socket said, in words. */
import { getSystemErrorName } from 'node:util';
import {
  type Openssl,
  openssl,
  type Pointer,
  SSL_ERROR_SYSCALL,
  SSL_ERROR_ZERO_RETURN,
  X509_V_OK,
} from '../kernel/openssl.js';

/** Why a call said FAILED. */
export interface TlsFailure {
  /** The socket's error as a positive errno (ECONNRESET, EPIPE); 0 when the cause is not the socket. */
  readonly errno: number;
  /** In OpenSSL's words: 'certificate verify failed: self-signed certificate', 'wrong version number', or errno's name. */
  readonly reason: string;
  /** The peer ended the connection during the handshake, without a word. */
  readonly ended: boolean;
}

/** Marks a code that is an errno. */
const ERR_SYSTEM_FLAG = 0x8000_0000;

let error = 0;
let errno = 0;
let code = 0;
let verified = X509_V_OK;

/**
 * Keeps what there is to say about the call that has just failed in this thread, and empties the queue: what is left in
 * it would be taken for the next call's error, by Node's own crypto as well.
 */
export function keepFailure(o: Openssl, ssl: Pointer, sslError: number): void {
  error = sslError;
  errno = sslError === SSL_ERROR_SYSCALL ? o.errno() : 0;
  code = o.ERR_peek_error(); // the first one is the cause
  if (code >= ERR_SYSTEM_FLAG) {
    errno = code - ERR_SYSTEM_FLAG; // OpenSSL 3.5 keeps it there, 3.0 does not
    code = 0;
  }
  verified = o.SSL_get_verify_result(ssl);
  o.ERR_clear_error();
}

/** About the last call of this thread that said FAILED. Allocates. */
export function lastFailure(): TlsFailure {
  const ended = error === SSL_ERROR_ZERO_RETURN || (error === SSL_ERROR_SYSCALL && errno === 0 && code === 0);
  return { errno, reason: ended ? 'the peer ended the connection' : words(), ended };
}

/** The part of an error's code that is not the library's number. */
const REASON = 0x7f_ffff;
/** What the peer's alerts are counted from among the reasons. */
const ALERTS = 1000;

function nameless(reason: number): string {
  return reason >= ALERTS && reason < ALERTS + 256 ? `alert number ${reason - ALERTS}` : `error ${reason}`;
}

function words(): string {
  if (code === 0) return errno === 0 ? 'unknown error' : getSystemErrorName(-errno);
  const o = openssl();
  const reason = o.ERR_reason_error_string(code) ?? nameless(code & REASON);
  return reason === 'certificate verify failed' && verified !== X509_V_OK
    ? `${reason}: ${o.X509_verify_cert_error_string(verified)}`
    : reason;
}
