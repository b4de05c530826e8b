/** TLS sessions of ours beside node:tls, over one socketpair: a session is driven by what epoll says of its socket. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { EPOLLET, EPOLLIN, EPOLLOUT, Epoll, Events } from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
import koffi from 'koffi';
import { onTestFinished } from 'vitest';
import { type TlsClientOptions, TlsContext, type TlsServerOptions } from '../../dist/shared/tls/context.js';
import * as session from '../../dist/shared/tls/session.js';
import { closing } from './fds.ts';
import { owned, within } from './within.ts';

/** A session of ours. Each step waits, edge by edge, until it is done; nothing takes longer than 10 s. */
export class End {
  readonly ssl: number;
  readonly fd: number;
  readonly #epoll = owned(new Epoll());
  readonly #events = new Events(1);
  #freed = false;

  constructor(ssl: number, fd: number) {
    this.ssl = ssl;
    this.fd = fd;
    this.#epoll.register(fd, { events: EPOLLIN | EPOLLOUT | EPOLLET });
    onTestFinished(() => this.free());
  }

  /** Now, and not only when the test has finished. */
  free(): void {
    if (!this.#freed) session.freeSession(this.ssl);
    this.#freed = true;
  }

  /** What `step` gives once it no longer waits for the socket. */
  async settle(step: () => number): Promise<number> {
    for (;;) {
      const result = step();
      if (result !== session.WANT_READ && result !== session.WANT_WRITE) return result;
      if ((await this.#epoll.waitAsync(this.#events, 10_000)) === 0) throw new Error('nothing after 10 s');
    }
  }

  handshake(): Promise<number> {
    return this.settle(() => session.handshake(this.ssl));
  }

  /** The next bytes; undefined at the end of stream. */
  async read(most = 65_536): Promise<Buffer | undefined> {
    const buffer = Buffer.alloc(most);
    const bytes = await this.settle(() => session.read(this.ssl, buffer, 0, most));
    if (bytes === session.FAILED) throw new Error(session.lastFailure().reason);
    return bytes === session.END ? undefined : buffer.subarray(0, bytes);
  }

  /** Exactly so many bytes, or what there was before the end. */
  async readAll(count = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let got = 0; got < count; ) {
      const part = await this.read();
      if (!part) break;
      parts.push(part);
      got += part.length;
    }
    return Buffer.concat(parts);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const from = at;
      const taken = await this.settle(() => session.write(this.ssl, bytes, from, bytes.length - from));
      if (taken === session.FAILED) throw new Error(session.lastFailure().reason);
      at += taken;
    }
  }

  end(): Promise<number> {
    return this.settle(() => session.shutdown(this.ssl));
  }
}

/** Closed when the test has finished. */
export function serverContext(options: TlsServerOptions, before?: TlsContext): TlsContext {
  return owned(TlsContext.forServer(options, before));
}

/** Closed when the test has finished. */
export function clientContext(options: TlsClientOptions, host = 'localhost'): TlsContext {
  return owned(TlsContext.forClient(options, host));
}

/** A server's end of ours. */
export function accept(context: TlsContext, fd: number): End {
  return new End(session.acceptSession(context.pointer, fd), fd);
}

/** A client's end of ours. */
export function connect(context: TlsContext, fd: number, resume = 0): End {
  return new End(session.connectSession(context.pointer, fd, context.servername, resume), fd);
}

/** A socket of Node's, and the fd at its other end. */
export function socketAndFd(options: net.SocketConstructorOpts = {}): { socket: net.Socket; fd: number } {
  const [fd, theirs] = sys.socketpair();
  const socket = new net.Socket({ ...options, fd: theirs });
  onTestFinished(() => {
    socket.destroy();
  });
  return { socket, fd: closing(fd) };
}

/** node:tls's client, and the fd that it speaks to. What it cannot agree on is its 'error'. */
export function nodeClient(
  options: tls.ConnectionOptions = {},
  below: net.SocketConstructorOpts = {},
): { client: tls.TLSSocket; fd: number } {
  const { socket, fd } = socketAndFd(below);
  const client = tls.connect({ socket, rejectUnauthorized: false, servername: 'localhost', ...options });
  client.on('error', () => undefined);
  return { client, fd };
}

/** node:tls's server for one connection, and the fd that a client of ours speaks on. */
export function nodeServer(options: tls.TlsOptions): {
  accepted: Promise<tls.TLSSocket>;
  fd: number;
  server: tls.Server;
} {
  const server = tls.createServer(options);
  return { ...connectTo(server), server };
}

/** Another connection to the same server. */
export function connectTo(server: tls.Server): { accepted: Promise<tls.TLSSocket>; fd: number } {
  const { socket, fd } = socketAndFd();
  const accepted = within(
    Promise.race([
      once(server, 'secureConnection').then(([connection]) => connection as tls.TLSSocket),
      once(server, 'tlsClientError').then(([error]) => Promise.reject(error)),
    ]),
  );
  accepted.catch(() => undefined); // told by whatever is awaited
  server.emit('connection', socket);
  return { accepted, fd };
}

/**
 * So many key updates of a session of TLS 1.3 that was agreed on, encrypted; the session is of no use after that.
 *
 * @param padding what each one's inner length is made a multiple of: a record has 21 bytes more
 */
export function keyUpdates(ssl: number, count: number, padding = 6): Buffer {
  const lib = koffi.load(null);
  const update = lib.func('SSL_key_update', 'int', ['size_t', 'int']);
  const bio: number = lib.func('BIO_new', 'size_t', ['size_t'])(lib.func('BIO_s_mem', 'size_t', [])());
  lib.func('SSL_set0_wbio', 'void', ['size_t', 'size_t'])(ssl, bio);
  lib.func('SSL_set_block_padding', 'int', ['size_t', 'size_t'])(ssl, padding);
  for (let i = 0; i < count; i++) {
    update(ssl, 0);
    session.handshake(ssl);
  }
  const bytes = Buffer.alloc(count * (padding + 100));
  const taken: number = lib.func('BIO_read', 'int', ['size_t', 'void *', 'int'])(bio, bytes, bytes.length);
  return bytes.subarray(0, taken);
}
