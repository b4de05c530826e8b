/** TLS contexts (an SSL_CTX each), made by node:tls itself from its own options, shared by all threads of the process. */
import type { SecureContextOptions } from 'node:tls';

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

/** The session ticket keys of a context: contexts that have the same resume each other's sessions. */
export type TicketKeys = Buffer;

/**
 * An SSL_CTX. Made on one thread; all threads may make sessions of it. Sessions keep it alive by themselves, so it may
 * be closed while they are open; new ones cannot be made of it then.
 */
export declare class TlsContext implements Disposable {
  private constructor();
  /**
   * @param before the context that this one takes the place of: clients go on with its sessions, unless the options
   *   have ticketKeys of their own
   * @throws what node:tls throws for the options; ERR_INVALID_ARG_VALUE for what needs JavaScript in the handshake
   *   (ALPNCallback, SNICallback, pskCallback); ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where Node carries no OpenSSL that can be called
   */
  static forServer(options: TlsServerOptions, before?: TlsContext): TlsContext;
  /**
   * @param host whom the sessions are with: a name or a numeric address, which the certificate is checked against
   * @throws as forServer
   */
  static forClient(options: TlsClientOptions, host: string): TlsContext;
  /** The SSL_CTX's address: what acceptSession() and connectSession() take, in any thread. */
  readonly pointer: number;
  /** Clients: the name to ask for, as connectSession() takes it (ASCII, ended by a zero); undefined for a numeric host. */
  readonly servername: Buffer | undefined;
  /**
   * Takes one more reference, and gives the pointer. It can be sent to another thread, which is sure to find the context
   * there even if it is closed meanwhile; releaseContext() must follow, once.
   */
  retain(): number;
  /** Gives its own reference back; the SSL_CTX is freed with the last session. A second call does nothing. */
  close(): void;
  [Symbol.dispose](): void;
}

/** Gives back a reference that retain() took; in any thread. */
export declare function releaseContext(pointer: number): void;
