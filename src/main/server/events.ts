/** What a Server emits, and what it counts. */
import type { CloseReason } from '../../shared/server/reasons.js';
import type { WaitServiceStats } from '../service/stats.js';

export interface Peer {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** The arguments of a Server's listeners. */
export interface ServerEvents {
  /** With TLS: after the handshake. */
  connection: [peer: Peer];
  /** Exactly once for each 'connection'. What peers do is a reason here and never an 'error'. */
  close: [peer: { readonly id: number }, reason: CloseReason];
  /** What a connection's post() was given. */
  message: [value: unknown, peer: { readonly id: number }];
  error: [error: Error, peer?: { readonly id: number }];
}

export interface ServerStats {
  readonly connections: number;
  /** Adopted ones are counted, too. */
  readonly accepted: number;
  /** Handled to their end. */
  readonly messages: number;
  /** On the wire. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Input and output in shared memory. */
  readonly bytesKept: number;
  /** Failed handshakes are counted, too. */
  readonly closed: Readonly<Record<CloseReason, number>>;
  readonly service: WaitServiceStats;
}
