/** TLS contexts (an SSL_CTX each), made by node:tls itself from its own options, shared by all threads of the process. */
import { hkdfSync } from 'node:crypto';
import { isIP } from 'node:net';
import tls, { type SecureContextOptions } from 'node:tls';
import { inspect, types } from 'node:util';
import { invalidType, unavailable } from '../errors.js';
import { openssl } from '../kernel/openssl.js';
import { acceptAny, selectAlpn } from '../kernel/openssl-callbacks.js';
import * as ssl from '../kernel/openssl-context.js';

declare module 'node:tls' {
  /** Not in its types: checks the list, and leaves it in TLS's form in `out`. */
  function convertALPNProtocols(protocols: readonly string[], out: { ALPNProtocols?: Buffer }): void;
}

/** What a server takes: node:tls's names and meanings. */
export type TlsServerOptions = SecureContextOptions & {
  requestCert?: boolean | undefined;
  rejectUnauthorized?: boolean | undefined;
  ALPNProtocols?: string[] | undefined;
};

/** What a client takes: node:tls's names and meanings. */
export type TlsClientOptions = SecureContextOptions & {
  /** False: any certificate will do. */
  rejectUnauthorized?: boolean | undefined;
  /** The name asked for (SNI) and the one that the certificate must have; default: the host. Empty: none is asked for. */
  servername?: string | undefined;
  ALPNProtocols?: string[] | undefined;
};

const MODE = ssl.SSL_MODE_ENABLE_PARTIAL_WRITE | ssl.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | ssl.SSL_MODE_RELEASE_BUFFERS;
/** What a ticket is encrypted with: a name of 16 bytes, two keys of 32. */
const TICKET_KEYS = 80;
/** Options that are functions, which only the thread that made them could call. */
const FUNCTIONS = ['ALPNCallback', 'SNICallback', 'pskCallback', 'checkServerIdentity'];

/**
 * An SSL_CTX. Made on one thread; all threads may make sessions of it. Sessions keep it alive by themselves, so it may
 * be closed while they are open; new ones cannot be made of it then.
 */
export class TlsContext implements Disposable {
  /** The SSL_CTX's address: what acceptSession() and connectSession() take, in any thread. */
  readonly pointer: number;
  /** Clients: the name to ask for, as connectSession() takes it (ASCII, ended by a zero); undefined for a numeric host. */
  readonly servername: Buffer | undefined;
  #open = true;

  private constructor(pointer: number, servername?: string) {
    this.pointer = pointer;
    this.servername = servername ? Buffer.from(`${servername}\0`, 'latin1') : undefined;
  }

  /**
   * @param before the context that this one takes the place of, not closed yet: clients go on with its sessions, unless the
   *   options have ticketKeys of their own
   * @throws what node:tls throws for the options; ERR_INVALID_ARG_TYPE for functions among them;
   *   ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where Node has no OpenSSL that can be called
   */
  static forServer(options: TlsServerOptions, before?: TlsContext): TlsContext {
    const given = { ...options };
    const { requestCert, rejectUnauthorized, ticketKeys } = given;
    const protocols = checked(given);
    const secure = tls.createSecureContext({
      ...given,
      honorCipherOrder: given.honorCipherOrder ?? true, // as a tls.Server has it
      sessionIdContext: given.sessionIdContext ?? 'epoll-pool', // without one, no session with a client's certificate is resumed
    });
    const pointer = take(secure);
    const c = ssl.opensslContext();
    // Otherwise SSL_read() goes on for as long as key updates come, and the thread does nothing else (SSL_CTX_set_mode(3)). With
    // read-ahead it would still do so, as long as what it has ahead is not at its end, which a peer can see to: so there is none.
    c.SSL_CTX_ctrl(pointer, ssl.SSL_CTRL_CLEAR_MODE, ssl.SSL_MODE_AUTO_RETRY, null);
    if (requestCert === true) {
      const refuse = rejectUnauthorized !== false;
      const mode = ssl.SSL_VERIFY_PEER | (refuse ? ssl.SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
      c.SSL_CTX_set_verify(pointer, mode, refuse ? 0 : acceptAny());
    }
    if (protocols) {
      const { callback, argument } = selectAlpn(protocols);
      c.SSL_CTX_set_alpn_select_cb(pointer, callback, argument);
    }
    if (ticketKeys) {
      // Node's 48 bytes are of an older form; whoever has the same ones gets the same of these.
      setTicketKeys(
        pointer,
        Buffer.from(hkdfSync('sha256', ticketKeys, '', 'epoll-pool session tickets', TICKET_KEYS)),
      );
    } else if (before) {
      const keys = Buffer.alloc(TICKET_KEYS);
      c.SSL_CTX_ctrl(before.pointer, ssl.SSL_CTRL_GET_TLSEXT_TICKET_KEYS, TICKET_KEYS, keys);
      setTicketKeys(pointer, keys);
      keys.fill(0);
    }
    return new TlsContext(pointer);
  }

  /**
   * @param host whom the sessions are with: a name or a numeric address, which the certificate is checked against
   * @throws as forServer
   */
  static forClient(options: TlsClientOptions, host: string): TlsContext {
    const given = { ...options };
    const { rejectUnauthorized, servername } = given;
    const protocols = checked(given);
    const pointer = take(tls.createSecureContext(given));
    const c = ssl.opensslContext();
    c.SSL_CTX_set_verify(pointer, rejectUnauthorized === false ? ssl.SSL_VERIFY_NONE : ssl.SSL_VERIFY_PEER, 0);
    // One read(2) for a record's head and its body, and for several small ones.
    c.SSL_CTX_ctrl(pointer, ssl.SSL_CTRL_SET_READ_AHEAD, 1, null);
    // Otherwise OpenSSL takes a session of TLS 1.3 for used up once it was resumed; the servers take them again.
    c.SSL_CTX_ctrl(pointer, ssl.SSL_CTRL_SET_SESS_CACHE_MODE, ssl.SSL_SESS_CACHE_OFF, null);
    if (protocols) c.SSL_CTX_set_alpn_protos(pointer, protocols, protocols.length);
    const name = (servername || host).replace(/\.$/, '');
    expectHost(pointer, name);
    return new TlsContext(pointer, servername === '' || isIP(name) ? undefined : name);
  }

  /**
   * Takes one more reference, and gives the pointer. It can be sent to another thread, which is sure to find the context
   * there even if it is closed meanwhile; releaseContext() must follow, once.
   */
  retain(): number {
    ssl.opensslContext().SSL_CTX_up_ref(this.pointer);
    return this.pointer;
  }

  /** Gives its own reference back; the SSL_CTX is freed with the last session. A second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    releaseContext(this.pointer);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Gives back a reference that retain() took; in any thread. */
export function releaseContext(pointer: number): void {
  openssl().SSL_CTX_free(pointer);
}

/** The protocols in TLS's form; throws for what no context can have. */
function checked(options: TlsServerOptions & TlsClientOptions): Buffer | undefined {
  for (const name of FUNCTIONS) {
    const value: unknown = Reflect.get(options, name);
    if (value !== undefined)
      throw invalidType(`tls.${name}`, 'undefined, since the threads cannot call a function', value);
  }
  if (!options.ALPNProtocols) return undefined;
  const out: { ALPNProtocols?: Buffer } = {};
  tls.convertALPNProtocols(options.ALPNProtocols, out);
  return out.ALPNProtocols?.length ? out.ALPNProtocols : undefined;
}

/** The SSL_CTX that node:tls has made, now only ours, and set for what sessions need. */
function take({ context }: { context: unknown }): number {
  if (typeof context !== 'object' || context === null) throw hidden();
  const pointer = addressOf(context);
  const c = ssl.opensslContext();
  c.SSL_CTX_up_ref(pointer);
  // Only now may Node give up its own reference, which it would at some collection from here on.
  const close: unknown = Reflect.get(context, 'close');
  if (typeof close === 'function') Reflect.apply(close, context, []);
  c.SSL_CTX_ctrl(pointer, ssl.SSL_CTRL_MODE, MODE, null);
  // A peer that ends TCP alone may still be answered; wasTruncated() tells it from one that says close_notify.
  c.SSL_CTX_set_options(pointer, ssl.SSL_OP_NO_RENEGOTIATION | ssl.SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Node's callback (the one kind up to 22, the other from 24) would look into the object that has just been left;
  // OpenSSL has tickets of its own.
  c.SSL_CTX_callback_ctrl(pointer, ssl.SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB, 0);
  c.SSL_CTX_set_tlsext_ticket_key_evp_cb(pointer, 0);
  return pointer;
}

/**
 * Where its SSL_CTX lies. Node gives that to native code as an External, whose address is what util.inspect() shows. What
 * is there is looked at before it is used.
 */
function addressOf(context: object): number {
  const external: unknown = Reflect.get(context, '_external');
  const shown = types.isExternal(external) ? inspect(external, { colors: false }) : '';
  const address = Number.parseInt(/^\[External: ([0-9a-f]+)\]$/.exec(shown)?.[1] ?? '', 16);
  if (!Number.isSafeInteger(address) || !ssl.isContext(address)) throw hidden();
  return address;
}

function hidden(): Error {
  return unavailable(`TLS: this Node (${process.version}) keeps its contexts where they cannot be found`);
}

function setTicketKeys(pointer: number, keys: Buffer): void {
  ssl.opensslContext().SSL_CTX_ctrl(pointer, ssl.SSL_CTRL_SET_TLSEXT_TICKET_KEYS, TICKET_KEYS, keys);
}

/** The name or address that certificates must have. */
function expectHost(pointer: number, name: string): void {
  const c = ssl.opensslContext();
  const param = c.SSL_CTX_get0_param(pointer);
  if (isIP(name)) {
    c.X509_VERIFY_PARAM_set1_ip_asc(param, name.replace(/%.*$/, ''));
  } else {
    const bytes = Buffer.from(name, 'latin1');
    c.X509_VERIFY_PARAM_set1_host(param, bytes, bytes.length);
    c.X509_VERIFY_PARAM_set_hostflags(param, ssl.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  }
}
