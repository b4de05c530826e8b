/** TLS handshakes of one thread: a connection's session is made in its first run, and any thread goes on with it. */
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import { releaseContext } from '../../shared/tls/context.js';
import * as tls from '../../shared/tls/session.js';
import type { Flags } from './flags.js';
import type { Wire } from './wire.js';

export class Handshakes {
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #wire: Wire;
  readonly #flags: Flags;

  constructor(memory: L.ServerMemory, wire: Wire, flags: Flags) {
    this.#words = memory.words;
    this.#header = memory.header;
    this.#wire = wire;
    this.#flags = flags;
  }

  /** Goes on with the TLS handshake. Whether it is done. */
  go(base: number): boolean {
    const words = this.#words;
    let ssl = L.loadWide(words, base + L.SSL);
    if (ssl === 0) {
      const context = L.loadWide(words, base + L.CONTEXT);
      ssl = tls.acceptSession(context, words[base + L.FD] ?? -1);
      if (ssl === 0) {
        this.#wire.doom(base, 'handshake');
        return false;
      }
      L.storeWide(words, base + L.SSL, ssl);
      this.releaseContext(base);
    }
    const result = tls.handshake(ssl);
    if (result === tls.WANT_READ || result === tls.WANT_WRITE) return false;
    if (result !== tls.DONE) {
      this.#wire.doom(base, 'handshake');
      return false;
    }
    this.#flags.clear(base, L.SHAKING);
    words[base + L.DEADLINE] = 0;
    words[base + L.ACTIVITY] = Atomics.load(this.#header, L.TICK);
    lock.open(words, base);
    return true;
  }

  /** A connection that ends before its session was made. */
  releaseContext(base: number): void {
    const context = L.loadWide(this.#words, base + L.CONTEXT);
    if (context === 0) return;
    L.storeWide(this.#words, base + L.CONTEXT, 0);
    releaseContext(context);
  }
}
