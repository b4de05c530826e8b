/** What turns a stream of bytes into messages: the contract of a protocol, and what the server and the package's own ones ask of each other. */
import type { Connection } from '../connection.js';

/** How a server's threads find messages in what comes, and what the handler is given of each. */
export interface Protocol<M> {
  /**
   * How many bytes the first message in `input` has, which may be more than there are; 0 while more must come to know. A throw
   * ends the connection, after what refuse() gives.
   *
   * @param seen how many of the bytes were there at the last call for this message
   */
  frame(input: Buffer, seen: number, connection: Connection): number;
  /** What the handler is given; without it the bytes themselves, valid until the handler returns or its promise settles. */
  decode?(bytes: Buffer, connection: Connection): M;
  /**
   * Last bytes for the peer when its connection ends for an error: what frame() or decode() threw, one with code ERR_OUT_OF_RANGE
   * for a message longer than maxMessage, one with code ETIMEDOUT when idleTimeout has passed in the middle of a message.
   */
  refuse?(error: unknown): Uint8Array | undefined;
}

/** Messages of one connection are handled one at a time, in order; a promise keeps the next waiting, and no other connection. */
export type MessageHandler<M = Buffer> = (message: M, connection: Connection) => void | Promise<void>;

// The server calls frame() for a message only when the one before it has been handled to its end, and no more for this
// message once it has said a length above 0: answers, and what frame() itself sends, go out in the order of the requests.

/** The key of a protocol's hooks. Handlers and the threads' module have copies of this file: the symbol is the same in all. */
export const HOOKS: unique symbol = Symbol.for('epoll-pool.protocol.hooks');

/** What a protocol may have besides, under HOOKS. */
export interface ProtocolHooks<M> {
  /**
   * The peer has ended its side, and no whole message is left in `input` (not empty): how many of its bytes are a last message
   * after all; 0 drops them.
   */
  atEnd?(input: Buffer, connection: Connection): number;
  /**
   * Once for each message that the handler was given, when it has returned or its promise has settled, and before anything else
   * is done with the connection. `failed`: it threw or rejected; what is sent here still goes out before the connection ends.
   */
  settled?(message: M, connection: Connection, failed: boolean): void;
  /**
   * The handler's promise is pending. `rests(true)` says that it waits for what takes nothing of its thread, with nothing of its answer
   * kept here: it does not count for `concurrency`, until `rests(false)`. From the first of these on the message's bytes are not its.
   */
  pending?(message: M, rests: (rests: boolean) => void): void;
  /**
   * While the handler's promise is pending, the peer has ended its side (it may read on), or the connection has ended (`isOver`); the
   * second may follow the first. settled() comes still.
   */
  gone?(message: M, connection: Connection, isOver: boolean): void;
}

/** A protocol with hooks. */
export interface HookedProtocol<M> extends Protocol<M> {
  readonly [HOOKS]: ProtocolHooks<M>;
}

/** A protocol's hooks, if it has some. */
export function hooksOf<M>(protocol: Protocol<M>): ProtocolHooks<M> | undefined {
  return hasHooks(protocol) ? protocol[HOOKS] : undefined;
}

function hasHooks<M>(protocol: Protocol<M>): protocol is HookedProtocol<M> {
  return HOOKS in protocol;
}

/** The key of what a server's connection has for frame(). A connection without it works too. */
export const FRAMING: unique symbol = Symbol.for('epoll-pool.connection.framing');

/** What the server says to frame(), and keeps for it. */
export interface Framing {
  /** For frame() to keep where it stopped, from 0 to 2^31-1: kept with the connection for whichever thread goes on, 0 at the begin of each message. */
  position: number;
  /** The server's option: frame() need not ask for the rest of what is too long. */
  readonly maxMessage: number;
  /** Whether the server is closing, so that no further message will be handled. Asked when an answer is made, too, outside any run. */
  readonly ending: boolean;
}

/** A connection as the package's own protocols know it. */
export interface FramedConnection extends Connection {
  readonly [FRAMING]?: Framing;
}
