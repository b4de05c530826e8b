/** A server's part towards a protocol, on one connection that is no socket: for tests of protocols alone. */
import type { Connection, MessageHandler, Protocol } from 'epoll-pool/worker';
import { FRAMING, type Framing, hooksOf } from '../../dist/worker/server/protocols/protocol.js';

export interface FakeOptions {
  readonly maxMessage?: number;
  /** Whether frame() can keep its position with the connection, as it can with a server's; default true. */
  readonly framing?: boolean;
  readonly tls?: Connection['tls'];
}

let last = 0;

/** Notes what is sent. */
export class FakeConnection implements Connection {
  readonly id = ++last;
  open = true;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 50_000;
  readonly tls: Connection['tls'];
  readonly state = new Uint8Array(0);
  pending = 0;
  /** Each call of send(), and end()'s bytes. */
  readonly sent: Buffer[] = [];
  /** How it was ended. */
  ending: 'end' | 'destroy' | undefined;
  readonly [FRAMING]?: Framing & { ending: boolean };

  constructor(options: FakeOptions = {}) {
    this.tls = options.tls;
    if (options.framing ?? true) {
      this[FRAMING] = { position: 0, maxMessage: options.maxMessage ?? 1_048_576, ending: false };
    }
  }

  get output(): string {
    return Buffer.concat(this.sent).toString('latin1');
  }

  /** The server is closing: no further message will be handled. */
  becomeLast(): void {
    const framing = this[FRAMING];
    if (framing !== undefined) framing.ending = true;
  }

  send(bytes: Uint8Array | string): boolean {
    if (!this.open || this.ending !== undefined) return false;
    this.sent.push(Buffer.from(bytes)); // a copy: the caller may use its own again
    return this.pending === 0;
  }

  end(bytes?: Uint8Array | string): void {
    if (bytes !== undefined) this.send(bytes);
    this.ending ??= 'end';
  }

  destroy(): void {
    this.ending ??= 'destroy';
    this.open = false;
  }

  sendTo(): boolean {
    throw new Error('no other connection');
  }

  broadcast(): number {
    throw new Error('no other connection');
  }

  post(): void {
    throw new Error('no server');
  }
}

/** How a connection went: 'open', or why it ended. */
export type Outcome = 'open' | 'end' | 'destroy' | 'protocol' | 'too-long' | 'handler';

/** Feeds a protocol what a peer sends, and its handler the messages, one at a time, as a server does. */
export class FakeServer<M> {
  readonly connection: FakeConnection;
  outcome: Outcome = 'open';
  /** What frame() or decode(), or the handler, threw. */
  error: unknown;
  readonly #protocol: Protocol<M>;
  readonly #handler: MessageHandler<M>;
  readonly #maxMessage: number;
  #input = Buffer.alloc(0);
  #seen = 0;
  #length = 0;
  #atWork: M | undefined;
  readonly #handled: Buffer[] = [];

  constructor(protocol: Protocol<M>, handler: MessageHandler<M>, options: FakeOptions = {}) {
    this.#protocol = protocol;
    this.#handler = handler;
    this.#maxMessage = options.maxMessage ?? 1_048_576;
    this.connection = new FakeConnection(options);
  }

  /** What has come of a message whose end is known, or of whose body a part has been passed; empty otherwise. */
  get unfinished(): Buffer {
    const inBody = this.#length > 0 || (this.connection[FRAMING]?.position ?? 0) > 0;
    return inBody ? this.#input : this.#input.subarray(0, 0);
  }

  /** The peer sends these. */
  async feed(bytes: Uint8Array | string): Promise<void> {
    this.#input = Buffer.concat([this.#input, Buffer.from(bytes)]);
    while (this.outcome === 'open' && this.#input.length > 0) {
      const length = this.#next();
      if (length === 0) return;
      const message = this.#input.subarray(0, length);
      this.#input = this.#input.subarray(length);
      await this.#handle(message);
    }
  }

  /** What a server's reading does to the bytes of messages that are handled: others take their place. */
  overwrite(): void {
    for (const bytes of this.#handled.splice(0)) bytes.fill(0xee);
  }

  /** The peer ends its side. */
  async finish(): Promise<void> {
    if (this.outcome !== 'open' || this.#input.length === 0) return;
    const length = hooksOf(this.#protocol)?.atEnd?.(this.#input, this.connection) ?? 0;
    if (length > 0) await this.#handle(this.#input.subarray(0, length));
  }

  /** The peer breaks off while the handler is at work, or only ends its side. */
  leave(isOver = true): void {
    if (isOver) this.connection.open = false;
    if (this.#atWork !== undefined) hooksOf(this.#protocol)?.gone?.(this.#atWork, this.connection, isOver);
  }

  /** @returns the first message's length, once it is whole */
  #next(): number {
    const { connection } = this;
    if (this.#length === 0) {
      try {
        this.#length = this.#protocol.frame(this.#input, this.#seen, connection);
      } catch (error) {
        this.#refuse('protocol', error);
        return 0;
      }
      this.#seen = this.#input.length;
    }
    if (this.#length > this.#maxMessage || (this.#length === 0 && this.#input.length > this.#maxMessage)) {
      this.#refuse('too-long', Object.assign(new RangeError('too long'), { code: 'ERR_OUT_OF_RANGE' }));
      return 0;
    }
    return this.#length <= this.#input.length ? this.#length : 0;
  }

  async #handle(bytes: Buffer): Promise<void> {
    const { connection } = this;
    this.#seen = 0;
    this.#length = 0;
    const framing = connection[FRAMING];
    if (framing !== undefined) framing.position = 0;
    let failed = false;
    this.#handled.push(bytes);
    const message = this.#decode(bytes);
    if (message === undefined) return;
    this.#atWork = message;
    try {
      const ended = this.#handler(message, connection);
      if (ended !== undefined) await ended;
    } catch (error) {
      failed = true;
      this.error = error;
    }
    this.#atWork = undefined;
    hooksOf(this.#protocol)?.settled?.(message, connection, failed);
    if (failed) this.#close('handler');
    else if (connection.ending !== undefined) this.#close(connection.ending);
  }

  #decode(bytes: Buffer): M | undefined {
    try {
      return this.#protocol.decode?.(bytes, this.connection);
    } catch (error) {
      this.#refuse('protocol', error);
      return undefined;
    }
  }

  #refuse(outcome: Outcome, error: unknown): void {
    this.error = error;
    const last = this.#protocol.refuse?.(error);
    if (last !== undefined) this.connection.send(last);
    this.#close(outcome);
  }

  #close(outcome: Outcome): void {
    if (this.outcome === 'open') this.outcome = outcome;
    this.connection.open = false;
  }
}
