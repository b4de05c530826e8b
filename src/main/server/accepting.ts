/** Takes what the listener accepts into service. One that cannot be registered is dropped, with a warning. */
import { EpollError } from '../../shared/errors.js';
import type { TlsContext } from '../../shared/tls/context.js';
import type { Connections } from './connections.js';
import type { Taker } from './listener.js';

export class Accepting implements Taker {
  readonly #connections: Connections;
  readonly #isFull: () => boolean;
  readonly #context: () => TlsContext | undefined;
  /** Accepted, and not registered yet. */
  readonly #fresh: number[] = [];

  /** @param isFull whether there is no room for another @param context what they are made with from now on */
  constructor(connections: Connections, isFull: () => boolean, context: () => TlsContext | undefined) {
    this.#connections = connections;
    this.#isFull = isFull;
    this.#context = context;
  }

  take(fd: number, address: Uint8Array, bytes: number): boolean {
    try {
      this.#fresh.push(this.#connections.take(fd, address, bytes, undefined, this.#context()));
    } catch (error) {
      this.#dropped(error);
    }
    return !this.#isFull();
  }

  /** One after the other, so that a thread that is woken for one finds the others, too. */
  taken(): void {
    const ids = this.#fresh;
    for (let i = 0; i < ids.length; i++) {
      try {
        this.#connections.register(ids[i] ?? 0);
      } catch (error) {
        this.#dropped(error);
      }
    }
    for (let i = 0; i < ids.length; i++) this.#connections.greet(ids[i] ?? 0);
    ids.length = 0;
  }

  #dropped(error: unknown): void {
    if (this.#connections.isClosing) return;
    const code = error instanceof EpollError ? error.code : undefined;
    process.emitWarning(`a connection was dropped: ${error}`, code === undefined ? {} : { code });
  }
}
