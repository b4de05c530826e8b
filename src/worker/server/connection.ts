/** What a handler of messages is given beside the message: one connection of a server. */

/** What TLS has agreed on. */
export interface ConnectionTls {
  /** The protocol agreed on by ALPN. */
  readonly alpn: string | undefined;
  /** The name asked for. */
  readonly servername: string | undefined;
  /** In DER. */
  readonly peerCertificate: Buffer | undefined;
}

/**
 * One connection: valid as long as it is open, in any run. After its end send(), end() and destroy() do nothing and say false;
 * `id`, `state`, post(), sendTo() and broadcast() still work in close().
 */
export interface Connection {
  readonly id: number;
  readonly open: boolean;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly tls: ConnectionTls | undefined;
  readonly state: Uint8Array;
  /** Bytes of output that are kept. */
  readonly pending: number;
  /** Sends all of it, in order: now what the socket takes, the rest (copied) when it does. True: none is kept; false: kept, or not `open`. A string is UTF-8. */
  send(bytes: Uint8Array | string): boolean;
  /** Sends what is kept, then the end of stream (TLS: close_notify); no further message is handled; ends with the peer's end, after 10 s at most ('end'). */
  end(bytes?: Uint8Array | string): void;
  /** Ends it now; what is kept is lost. */
  destroy(): void;
  /** To another connection, whichever thread it is with: never torn, in the order sent. False: it has ended. */
  sendTo(id: number, bytes: Uint8Array | string): boolean;
  /** To all, or all but one; how many took it. */
  broadcast(bytes: Uint8Array | string, except?: number): number;
  /** Sends a structured clone of `value` to the server's 'message' listeners; its thread waits while 1,024 are on their way. */
  post(value: unknown): void;
}
