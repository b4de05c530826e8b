/**
 * Two callbacks for OpenSSL in machine code. It calls them in whichever thread is in the handshake, and a context is all
 * threads' own; a JavaScript function could be called in the one thread that made it only. None of OpenSSL's or libc's
 * functions has the arguments that are wanted.
 */
import { unavailable } from '../errors.js';
import { type Call, native } from './syscalls.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const PAGE = 65_536; // the largest that Linux has on arm64

/**
 * int select_alpn(SSL *, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned inlen, void *arg)
 * arg: { void *SSL_select_next_proto; const unsigned char *protocols; unsigned length; }
 * Calls SSL_select_next_proto(out, outlen, protocols, length, in, inlen) and gives SSL_TLSEXT_ERR_OK (0) for
 * OPENSSL_NPN_NEGOTIATED (1), else SSL_TLSEXT_ERR_ALERT_FATAL (2), as Node does.
 */
const SELECT_ALPN: Readonly<Record<string, string>> = {
  x64:
    '4889f7' + // mov rdi, rsi
    '4889d6' + // mov rsi, rdx
    '498b01' + // mov rax, [r9]
    '498b5108' + // mov rdx, [r9 + 8]
    '4989ca' + // mov r10, rcx
    '418b4910' + // mov ecx, [r9 + 16]
    '4589c1' + // mov r9d, r8d
    '4d89d0' + // mov r8, r10
    '4883ec08' + // sub rsp, 8
    'ffd0' + // call rax
    '4883c408' + // add rsp, 8
    '31c9' + // xor ecx, ecx
    '83f801' + // cmp eax, 1
    'b802000000' + // mov eax, 2
    '0f44c1' + // cmove eax, ecx
    'c3', // ret
  arm64:
    'fd7bbfa9' + // stp x29, x30, [sp, #-16]!
    'fd030091' + // mov x29, sp
    'e00301aa' + // mov x0, x1
    'e10302aa' + // mov x1, x2
    'e90303aa' + // mov x9, x3
    'ea03042a' + // mov w10, w4
    'ab0040f9' + // ldr x11, [x5]
    'a20440f9' + // ldr x2, [x5, #8]
    'a31040b9' + // ldr w3, [x5, #16]
    'e40309aa' + // mov x4, x9
    'e5030a2a' + // mov w5, w10
    '60013fd6' + // blr x11
    '41008052' + // mov w1, #2
    '1f040071' + // cmp w0, #1
    'e003811a' + // csel w0, wzr, w1, eq
    'fd7bc1a8' + // ldp x29, x30, [sp], #16
    'c0035fd6', // ret
};

/** int accept_any(int, X509_STORE_CTX *): 1, so that the handshake goes on; what was found stays in the verify result. */
const ACCEPT_ANY: Readonly<Record<string, string>> = {
  x64: 'b801000000c3', // mov eax, 1; ret
  arm64: '20008052c0035fd6', // mov w0, #1; ret
};

const ACCEPT_ANY_AT = 256;
/** Bytes of select_alpn's argument, before the list. */
const HEAD = 24;

interface Callbacks {
  readonly selectAlpn: number;
  readonly acceptAny: number;
  readonly selectNextProto: bigint;
  readonly malloc: Call<[bytes: number]>;
  readonly copy: Call<[to: number, from: Uint8Array, bytes: number]>;
}

let loaded: Callbacks | undefined;

/**
 * Their page stays for as long as the process: sessions that use it may outlive whoever made their context.
 *
 * @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where no memory may be executed
 */
function callbacks(): Callbacks {
  loaded ??= load();
  return loaded;
}

function load(): Callbacks {
  const lib = native().load(null);
  const mmap: Call<[at: number, bytes: number, protection: number, flags: number, fd: number, offset: number]> =
    lib.func('mmap', 'intptr_t', ['size_t', 'size_t', 'int', 'int', 'int', 'long']);
  const mprotect: Call<[at: number, bytes: number, protection: number]> = lib.func('mprotect', 'int', [
    'size_t',
    'size_t',
    'int',
  ]);
  const copy: Callbacks['copy'] = lib.func('memcpy', 'size_t', ['size_t', 'void *', 'size_t']);
  const page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page === -1) throw refused();
  for (const [at, code] of [
    [0, SELECT_ALPN[process.arch]],
    [ACCEPT_ANY_AT, ACCEPT_ANY[process.arch]],
  ] as const) {
    const bytes = Buffer.from(code ?? '', 'hex');
    copy(page + at, bytes, bytes.length);
  }
  // Never writable and executable at once; the kernel brings the instruction cache up to date where that is needed.
  if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) !== 0) throw refused();
  return {
    selectAlpn: page,
    acceptAny: page + ACCEPT_ANY_AT,
    selectNextProto: lib.symbol('SSL_select_next_proto'),
    malloc: lib.func('malloc', 'size_t', ['size_t']),
    copy,
  };
}

function refused(): Error {
  return unavailable('ALPNProtocols, and requestCert without rejectUnauthorized, need memory that may be executed');
}

/** A verify callback that accepts any certificate. */
export function acceptAny(): number {
  return callbacks().acceptAny;
}

/** What callbacks are given, for as long as the process: there are few lists, and sessions outlive their context. */
const lists = new Map<string, number>();

/** An ALPN callback and its argument. @param protocols each with its length before it, the most wanted first */
export function selectAlpn(protocols: Buffer): { callback: number; argument: number } {
  const { selectAlpn: callback, selectNextProto, malloc, copy } = callbacks();
  const key = protocols.toString('latin1');
  let argument = lists.get(key);
  if (argument === undefined) {
    argument = malloc(HEAD + protocols.length);
    const head = new BigUint64Array([selectNextProto, BigInt(argument + HEAD), BigInt(protocols.length)]);
    const record = Buffer.concat([new Uint8Array(head.buffer), protocols]);
    copy(argument, record, record.length);
    lists.set(key, argument);
  }
  return { callback, argument };
}
