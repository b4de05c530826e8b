/** Server: connections, on top of the service. */

import type { AddressInfo } from 'node:net';
import { Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import type { FdLike } from '../../shared/arguments.js';
import * as args from '../../shared/arguments.js';
import { LONGEST_TIMER } from '../../shared/clock.js';
import { EpollError, invalidState, invalidType } from '../../shared/errors.js';
import { SOCKADDR_BYTES } from '../../shared/kernel/sockaddr.js';
import { getpeername, setNoDelay } from '../../shared/kernel/sockets.js';
import { close, requireLinux, setNonblocking } from '../../shared/kernel/syscalls.js';
import { detachPaused, pausedFdOf } from '../detach.js';
import { TypedEmitter } from '../typed-emitter.js';
import type { ServerCore } from './core.js';
import type { ServerEvents, ServerStats } from './events.js';
import {
  type CheckedServerOptions,
  checkServerOptions,
  type ServerOptions,
  type ServerTlsOptions,
  tlsOptions,
} from './options.js';
import type { ServerSink } from './telling.js';

const MOST_ID = Number.MAX_SAFE_INTEGER;
/** No fd. */
const NONE = -1;

/** What only `listen` has: the constructor is not for users. */
class Starting {
  constructor(readonly open: (sink: ServerSink) => ServerCore) {}
}

/**
 * A server whose connections are served by a pool of threads: any thread serves any connection, one at a time each. The handler
 * module has the messages, in the threads; this thread accepts, and learns of what has come and gone.
 *
 * Emits: 'connection' (Peer), 'close' ({ id }, CloseReason), 'message' (value, { id }; from a connection's post()), 'error' (Error,
 * { id }?; what handlers throw, and threads that die).
 */
export class Server extends TypedEmitter<ServerEvents> implements AsyncDisposable {
  readonly #core: ServerCore;
  #closing: Promise<void> | undefined;
  #expire: () => void = () => {};

  private constructor(starting: Starting) {
    super();
    if (!(starting instanceof Starting)) throw invalidState('a Server is made by Server.listen()');
    const wantsPeers = (): boolean => this.listenerCount('connection') > 0;
    this.#core = starting.open({
      get wantsPeers() {
        return wantsPeers();
      },
      connection: peer => this.emit('connection', peer),
      close: (id, reason) => this.emit('close', { id }, reason),
      message: (value, id) => this.emit('message', value, { id }),
      error: (error, id) => (id === undefined ? this.emit('error', error) : this.emit('error', error, { id })),
    });
  }

  /**
   * Resolves once it accepts.
   *
   * @throws (rejects) EpollError EADDRINUSE …; what loading the handler threw; node:tls's error for the options; TypeError, RangeError;
   *   Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM
   */
  static async listen(options: ServerOptions): Promise<Server> {
    const checked: CheckedServerOptions = checkServerOptions(options);
    requireLinux();
    const { ServerCore } = await import('./core.js');
    const server = new Server(new Starting(sink => new ServerCore(checked, sink)));
    try {
      await server.#core.start();
      return server;
    } catch (error) {
      await server.#core.abort();
      throw error;
    }
  }

  /** As net.Server has it: null for a server that does not listen. */
  address(): AddressInfo | string | null {
    return this.#core.address;
  }

  get connections(): number {
    return this.#core.connections;
  }

  /**
   * Takes a connected socket: an fd is the server's from the call on, also when it rejects. A net.Socket that was read from must be
   * paused; one that is refused stays as it was. Counts for maxConnections.
   *
   * @param options `unread`: bytes that were read from it already, to be handled first
   * @throws (rejects) RangeError ERR_OUT_OF_RANGE beyond maxConnections; Error ERR_INVALID_STATE (a socket that cannot be taken, a
   *   server that closes); TypeError ERR_INVALID_ARG_TYPE; EpollError EEXIST (it is a connection of this server, and stays one), EBADF,
   *   ENOTCONN …
   */
  async adopt(
    socket: Socket | FdLike,
    options: { unread?: Uint8Array | undefined } = {},
  ): Promise<{ readonly id: number }> {
    let fd = socket instanceof Socket ? NONE : this.#core.stranger(args.descriptor(socket));
    const address = new Uint8Array(SOCKADDR_BYTES);
    let bytes: number;
    let unread: Uint8Array | undefined;
    try {
      args.options(options);
      unread = bytesIn(options.unread);
      if (socket instanceof Socket) {
        // Before it is taken away from Node: what is refused stays as it was.
        pausedFdOf(socket);
        this.#core.admit(unread !== undefined || socket.readableLength > 0);
        const detached = detachPaused(socket);
        fd = detached.fd;
        unread = together(unread, detached.unread);
      }
      bytes = getpeername(fd, address);
      if (bytes < 0) throw new EpollError(bytes, 'getpeername', fd);
      const code = setNonblocking(fd);
      if (code < 0) throw new EpollError(code, 'fcntl', fd);
      this.#core.admit(unread !== undefined);
    } catch (error) {
      if (fd !== NONE) close(fd);
      throw error;
    }
    setNoDelay(fd); // a unix socket has no such thing
    return this.#core.adopt(fd, address, bytes, unread);
  }

  // As a Connection's, from this thread: false, and nothing done, when the connection has ended.

  /** @throws TypeError, RangeError for arguments */
  send(id: number, bytes: Uint8Array | string): boolean {
    return this.#core.outgoing.send(args.integer(id, 'id', 0, MOST_ID), bytesOf(bytes));
  }

  end(id: number): boolean {
    return this.#core.outgoing.end(args.integer(id, 'id', 0, MOST_ID));
  }

  destroy(id: number): boolean {
    return this.#core.outgoing.destroy(args.integer(id, 'id', 0, MOST_ID));
  }

  /** To all, or all but one; how many took it. */
  broadcast(bytes: Uint8Array | string, except?: number): number {
    if (except !== undefined) args.integer(except, 'except', 0, MOST_ID);
    return this.#core.outgoing.broadcast(bytesOf(bytes), except);
  }

  /** New connections are made with it from now on; throws for wrong options, and the one before stays. */
  setSecureContext(tls: ServerTlsOptions): void {
    args.options(tls, 'tls');
    this.#core.setSecureContext(tlsOptions(tls) ?? {});
  }

  stats(): ServerStats {
    return this.#core.stats();
  }

  /** The server keeps the process alive; it does by default. */
  ref(): this {
    this.#core.ref();
    return this;
  }

  /** The server does not keep the process alive. */
  unref(): this {
    this.#core.unref();
    return this;
  }

  /**
   * Accepts no more, begins no further message, lets those at work finish, sends what is kept, ends every connection and waits for the
   * peers' ends (10 s at most); after `timeout` (ms) destroys what is left. Idempotent.
   */
  close(options: { timeout?: number | undefined } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      args.options(options);
      const given: unknown = options.timeout;
      const timeout = given === undefined ? -1 : args.timeout(given, 'options.timeout');
      this.#closing ??= this.#core.close(
        new Promise(expire => {
          this.#expire = expire;
        }),
      );
      this.#closing.then(resolve, reject);
      if (timeout >= 0) {
        const timer = setTimeout(() => this.#expire(), Math.min(timeout, LONGEST_TIMER));
        this.#closing.finally(() => clearTimeout(timer)).catch(() => {});
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** @throws TypeError ERR_INVALID_ARG_TYPE */
function bytesOf(bytes: unknown, name = 'bytes'): Uint8Array {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  if (!(bytes instanceof Uint8Array)) throw invalidType(name, 'a Uint8Array or a string', bytes);
  return bytes;
}

function bytesIn(unread: unknown): Uint8Array | undefined {
  if (unread === undefined) return undefined;
  if (!(unread instanceof Uint8Array)) throw invalidType('options.unread', 'a Uint8Array', unread);
  return unread.length === 0 ? undefined : unread;
}

function together(first: Uint8Array | undefined, second: Uint8Array | undefined): Uint8Array | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return Buffer.concat([first, second]);
}
