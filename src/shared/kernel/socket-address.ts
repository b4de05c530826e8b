/** What a socket is bound to, or connected to. */
export interface SocketAddress {
  readonly family: 'IPv4' | 'IPv6' | 'unix';
  /** A number as text, or a path: '' of a socket without one, a first character NUL for one of the abstract namespace. */
  readonly address: string;
  /** 0 for a unix socket. */
  readonly port: number;
}
