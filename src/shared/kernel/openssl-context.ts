/** What OpenSSL has for making contexts: for the threads that make them only. As unsafe as openssl.ts. */
import { unavailable } from '../errors.js';
import type { Koffi } from './koffi.js';
import type { Act, Pointer } from './openssl.js';
import { type Call, close, type Memory, native, pipe, read } from './syscalls.js';

export const SSL_CTRL_MODE = 33;
export const SSL_CTRL_SET_READ_AHEAD = 41;
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
export const SSL_CTRL_GET_TLSEXT_TICKET_KEYS = 58;
export const SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59;
export const SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB = 72;
export const SSL_CTRL_CLEAR_MODE = 78;

export const SSL_SESS_CACHE_OFF = 0;

export const SSL_MODE_ENABLE_PARTIAL_WRITE = 0x1;
export const SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 0x2;
export const SSL_MODE_AUTO_RETRY = 0x4;
export const SSL_MODE_RELEASE_BUFFERS = 0x10;

export const SSL_OP_IGNORE_UNEXPECTED_EOF = 0x80;
export const SSL_OP_NO_RENEGOTIATION = 0x4000_0000;

export const SSL_VERIFY_NONE = 0;
export const SSL_VERIFY_PEER = 1;
export const SSL_VERIFY_FAIL_IF_NO_PEER_CERT = 2;

export const X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS = 0x4;

interface OpensslContext {
  readonly SSL_CTX_up_ref: Call<[ctx: Pointer]>;
  readonly SSL_CTX_ctrl: Call<[ctx: Pointer, command: number, number: number, data: Memory | null]>;
  readonly SSL_CTX_callback_ctrl: Call<[ctx: Pointer, command: number, callback: Pointer]>;
  readonly SSL_CTX_set_tlsext_ticket_key_evp_cb: Call<[ctx: Pointer, callback: Pointer]>;
  readonly SSL_CTX_set_options: Call<[ctx: Pointer, options: number]>;
  readonly SSL_CTX_set_verify: Act<[ctx: Pointer, mode: number, callback: Pointer]>;
  readonly SSL_CTX_set_alpn_protos: Call<[ctx: Pointer, protocols: Memory, length: number]>;
  readonly SSL_CTX_set_alpn_select_cb: Act<[ctx: Pointer, callback: Pointer, argument: Pointer]>;
  readonly SSL_CTX_get0_param: Call<[ctx: Pointer]>;
  readonly X509_VERIFY_PARAM_set1_host: Call<[param: Pointer, name: Memory, length: number]>;
  readonly X509_VERIFY_PARAM_set1_ip_asc: Call<[param: Pointer, address: string]>;
  readonly X509_VERIFY_PARAM_set_hostflags: Act<[param: Pointer, flags: number]>;
  readonly TLS_method: Call<[]>;
  readonly TLS_server_method: Call<[]>;
  readonly TLS_client_method: Call<[]>;
  readonly write: Call<[fd: number, from: Pointer, bytes: number]>;
}

let loaded: OpensslContext | undefined;

/** @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where a function is missing */
export function opensslContext(): OpensslContext {
  loaded ??= load(native());
  return loaded;
}

function load(koffi: Koffi): OpensslContext {
  const lib = koffi.load(null);
  try {
    return {
      SSL_CTX_up_ref: lib.func('SSL_CTX_up_ref', 'int', ['size_t']),
      SSL_CTX_ctrl: lib.func('SSL_CTX_ctrl', 'long', ['size_t', 'int', 'long', 'void *']),
      SSL_CTX_callback_ctrl: lib.func('SSL_CTX_callback_ctrl', 'long', ['size_t', 'int', 'size_t']),
      SSL_CTX_set_tlsext_ticket_key_evp_cb: lib.func('SSL_CTX_set_tlsext_ticket_key_evp_cb', 'int', [
        'size_t',
        'size_t',
      ]),
      SSL_CTX_set_options: lib.func('SSL_CTX_set_options', 'uint64', ['size_t', 'uint64']),
      SSL_CTX_set_verify: lib.func('SSL_CTX_set_verify', 'void', ['size_t', 'int', 'size_t']),
      SSL_CTX_set_alpn_protos: lib.func('SSL_CTX_set_alpn_protos', 'int', ['size_t', 'void *', 'uint']),
      SSL_CTX_set_alpn_select_cb: lib.func('SSL_CTX_set_alpn_select_cb', 'void', ['size_t', 'size_t', 'size_t']),
      SSL_CTX_get0_param: lib.func('SSL_CTX_get0_param', 'size_t', ['size_t']),
      X509_VERIFY_PARAM_set1_host: lib.func('X509_VERIFY_PARAM_set1_host', 'int', ['size_t', 'void *', 'size_t']),
      X509_VERIFY_PARAM_set1_ip_asc: lib.func('X509_VERIFY_PARAM_set1_ip_asc', 'int', ['size_t', 'str']),
      X509_VERIFY_PARAM_set_hostflags: lib.func('X509_VERIFY_PARAM_set_hostflags', 'void', ['size_t', 'uint']),
      TLS_method: lib.func('TLS_method', 'size_t', []),
      TLS_server_method: lib.func('TLS_server_method', 'size_t', []),
      TLS_client_method: lib.func('TLS_client_method', 'size_t', []),
      write: lib.func('write', 'long', ['int', 'size_t', 'size_t']),
    };
  } catch {
    throw unavailable('TLS needs a Node whose OpenSSL 3 can be called from outside');
  }
}

const WORDS = 8;

/** Whether an SSL_CTX lies there: one of its first words is its method's address. Asks the kernel for them, so any address will do. */
export function isContext(address: Pointer): boolean {
  const c = opensslContext();
  const methods = [c.TLS_method(), c.TLS_server_method(), c.TLS_client_method()].map(BigInt);
  const ends = new Int32Array(2);
  if (pipe(ends) < 0) return false;
  const [readable = -1, writable = -1] = ends;
  const words = new BigUint64Array(WORDS);
  const there = c.write(writable, address, words.byteLength) === words.byteLength;
  if (there) read(readable, words, words.byteLength);
  close(readable);
  close(writable);
  return there && words.some(word => methods.includes(word));
}
