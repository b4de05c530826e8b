/**
 * The functions of the OpenSSL that Node itself carries, found in the running process; called through koffi. As unsafe as
 * C: an address is a plain number, and whoever calls has checked what it points to. Names and constants are OpenSSL's own.
 */
import { unavailable } from '../errors.js';
import type { Koffi } from './koffi.js';
import { type Call, type Memory, native } from './syscalls.js';

/** A call whose result is a C string. */
type Words<A extends unknown[]> = (...args: A) => string | null;
/** A call that gives nothing back. */
export type Act<A extends unknown[]> = (...args: A) => void;

/** An address in C's memory: at most 2^53 on Linux. */
export type Pointer = number;

export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_WANT_WRITE = 3;
export const SSL_ERROR_SYSCALL = 5;
export const SSL_ERROR_ZERO_RETURN = 6;

export const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
export const SSL_SENT_AND_RECEIVED_SHUTDOWN = 3;

export const BIO_CTRL_EOF = 2;
export const X509_V_OK = 0;

/** All that is called. */
export interface Openssl {
  readonly errno: () => number;
  readonly addressOf: (memory: Memory) => bigint;
  readonly memcpy: Call<[to: Memory, from: Pointer, bytes: number]>;
  readonly SSL_CTX_free: Act<[ctx: Pointer]>;
  readonly SSL_new: Call<[ctx: Pointer]>;
  readonly SSL_free: Act<[ssl: Pointer]>;
  readonly SSL_set_fd: Call<[ssl: Pointer, fd: number]>;
  readonly SSL_set_accept_state: Act<[ssl: Pointer]>;
  readonly SSL_set_connect_state: Act<[ssl: Pointer]>;
  readonly SSL_ctrl: Call<[ssl: Pointer, command: number, number: number, data: Memory | null]>;
  readonly SSL_do_handshake: Call<[ssl: Pointer]>;
  readonly SSL_read: Call<[ssl: Pointer, buffer: Pointer, length: number]>;
  readonly SSL_write: Call<[ssl: Pointer, buffer: Pointer, length: number]>;
  readonly SSL_shutdown: Call<[ssl: Pointer]>;
  readonly SSL_set_shutdown: Act<[ssl: Pointer, mode: number]>;
  readonly SSL_pending: Call<[ssl: Pointer]>;
  readonly SSL_get_error: Call<[ssl: Pointer, result: number]>;
  readonly SSL_get_rbio: Call<[ssl: Pointer]>;
  readonly BIO_number_read: Call<[bio: Pointer]>;
  readonly BIO_number_written: Call<[bio: Pointer]>;
  readonly BIO_ctrl: Call<[bio: Pointer, command: number, number: number, data: null]>;
  readonly SSL_get0_alpn_selected: Act<[ssl: Pointer, protocol: Memory, length: Memory]>;
  readonly SSL_get_servername: Words<[ssl: Pointer, type: number]>;
  readonly SSL_get_verify_result: Call<[ssl: Pointer]>;
  readonly SSL_get1_peer_certificate: Call<[ssl: Pointer]>;
  readonly i2d_X509: Call<[certificate: Pointer, out: Memory | null]>;
  readonly X509_free: Act<[certificate: Pointer]>;
  readonly SSL_get_version: Words<[ssl: Pointer]>;
  readonly SSL_get_current_cipher: Call<[ssl: Pointer]>;
  readonly SSL_CIPHER_get_name: Words<[cipher: Pointer]>;
  readonly SSL_session_reused: Call<[ssl: Pointer]>;
  readonly SSL_get1_session: Call<[ssl: Pointer]>;
  readonly SSL_set_session: Call<[ssl: Pointer, session: Pointer]>;
  readonly SSL_SESSION_is_resumable: Call<[session: Pointer]>;
  readonly SSL_SESSION_free: Act<[session: Pointer]>;
  readonly ERR_clear_error: Act<[]>;
  readonly ERR_peek_error: Call<[]>;
  readonly ERR_reason_error_string: Words<[code: number]>;
  readonly X509_verify_cert_error_string: Words<[code: number]>;
}

let loaded: Openssl | undefined;

/**
 * All functions at once, as syscalls.ts has it: a thread is safe from its first call on.
 *
 * @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where one is missing
 */
export function openssl(): Openssl {
  loaded ??= load(native());
  return loaded;
}

function load(koffi: Koffi): Openssl {
  const lib = koffi.load(null);
  try {
    return {
      errno: koffi.errno,
      addressOf: koffi.address,
      memcpy: lib.func('memcpy', 'size_t', ['void *', 'size_t', 'size_t']),
      SSL_CTX_free: lib.func('SSL_CTX_free', 'void', ['size_t']),
      SSL_new: lib.func('SSL_new', 'size_t', ['size_t']),
      SSL_free: lib.func('SSL_free', 'void', ['size_t']),
      SSL_set_fd: lib.func('SSL_set_fd', 'int', ['size_t', 'int']),
      SSL_set_accept_state: lib.func('SSL_set_accept_state', 'void', ['size_t']),
      SSL_set_connect_state: lib.func('SSL_set_connect_state', 'void', ['size_t']),
      SSL_ctrl: lib.func('SSL_ctrl', 'long', ['size_t', 'int', 'long', 'void *']),
      SSL_do_handshake: lib.func('SSL_do_handshake', 'int', ['size_t']),
      SSL_read: lib.func('SSL_read', 'int', ['size_t', 'size_t', 'int']),
      SSL_write: lib.func('SSL_write', 'int', ['size_t', 'size_t', 'int']),
      SSL_shutdown: lib.func('SSL_shutdown', 'int', ['size_t']),
      SSL_set_shutdown: lib.func('SSL_set_shutdown', 'void', ['size_t', 'int']),
      SSL_pending: lib.func('SSL_pending', 'int', ['size_t']),
      SSL_get_error: lib.func('SSL_get_error', 'int', ['size_t', 'int']),
      SSL_get_rbio: lib.func('SSL_get_rbio', 'size_t', ['size_t']),
      BIO_number_read: lib.func('BIO_number_read', 'uint64_t', ['size_t']),
      BIO_number_written: lib.func('BIO_number_written', 'uint64_t', ['size_t']),
      BIO_ctrl: lib.func('BIO_ctrl', 'long', ['size_t', 'int', 'long', 'void *']),
      SSL_get0_alpn_selected: lib.func('SSL_get0_alpn_selected', 'void', ['size_t', 'void *', 'void *']),
      SSL_get_servername: lib.func('SSL_get_servername', 'str', ['size_t', 'int']),
      SSL_get_verify_result: lib.func('SSL_get_verify_result', 'long', ['size_t']),
      SSL_get1_peer_certificate: lib.func('SSL_get1_peer_certificate', 'size_t', ['size_t']),
      i2d_X509: lib.func('i2d_X509', 'int', ['size_t', 'void *']),
      X509_free: lib.func('X509_free', 'void', ['size_t']),
      SSL_get_version: lib.func('SSL_get_version', 'str', ['size_t']),
      SSL_get_current_cipher: lib.func('SSL_get_current_cipher', 'size_t', ['size_t']),
      SSL_CIPHER_get_name: lib.func('SSL_CIPHER_get_name', 'str', ['size_t']),
      SSL_session_reused: lib.func('SSL_session_reused', 'int', ['size_t']),
      SSL_get1_session: lib.func('SSL_get1_session', 'size_t', ['size_t']),
      SSL_set_session: lib.func('SSL_set_session', 'int', ['size_t', 'size_t']),
      SSL_SESSION_is_resumable: lib.func('SSL_SESSION_is_resumable', 'int', ['size_t']),
      SSL_SESSION_free: lib.func('SSL_SESSION_free', 'void', ['size_t']),
      ERR_clear_error: lib.func('ERR_clear_error', 'void', []),
      ERR_peek_error: lib.func('ERR_peek_error', 'ulong', []),
      ERR_reason_error_string: lib.func('ERR_reason_error_string', 'str', ['ulong']),
      X509_verify_cert_error_string: lib.func('X509_verify_cert_error_string', 'str', ['long']),
    };
  } catch {
    throw unavailable('TLS needs a Node whose OpenSSL 3 can be called from outside');
  }
}

/** A copy of what lies in C's memory. */
export function bytesAt(address: Pointer, length: number): Buffer {
  const copy = Buffer.alloc(length);
  if (length > 0) openssl().memcpy(copy, address, length);
  return copy;
}
