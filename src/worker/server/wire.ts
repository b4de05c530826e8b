/**
 * A connection's bytes to and from its socket, in the clear or through TLS, and its kept output. Whoever calls has its lock.
 *
 * Output goes to the socket at once as long as none is kept; what the socket refuses is kept, and everything that comes after it
 * behind it. What goes wrong with a socket, or with a limit, dooms the connection: it takes no more output, and its next run ends it.
 */
import { EAGAIN } from '../../shared/errors.js';
import { receive, send as sendTo, shutdown } from '../../shared/kernel/sockets.js';
import type { Arena } from '../../shared/server/arena.js';
import { BLOCK_WORDS, ITEM_BYTES, ITEM_GENERATION, KIND } from '../../shared/server/arena.js';
import { BYTES, Chains } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import * as mailbox from '../../shared/server/mailbox.js';
import { type CloseReason, codeOfReason } from '../../shared/server/reasons.js';
import * as tls from '../../shared/tls/session.js';

/** How much is gathered for one write of kept output. */
const GATHER = 65_536;
const WRITE = 1;

/** What read() gives beside bytes. */
export const AT_END = 0;
export const NOTHING = -1;
export const BROKEN = -2;
/** None yet, and the socket has not said that it has no more: TLS has taken what is of no message, or a part of a record. */
export const MORE = -3;

export interface WireParts {
  readonly memory: L.ServerMemory;
  readonly counts: Float64Array;
  readonly arena: Arena;
  readonly maxOutput: number;
}

export class Wire {
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #counts: Float64Array;
  readonly #arena: Arena;
  readonly #maxOutput: number;
  readonly #gathered = Buffer.allocUnsafeSlow(GATHER);
  readonly chains: Chains;

  constructor({ memory, counts, arena, maxOutput }: WireParts) {
    this.#words = memory.words;
    this.#header = memory.header;
    this.#counts = counts;
    this.#arena = arena;
    this.#maxOutput = maxOutput;
    this.chains = new Chains(arena, memory.words);
  }

  /** It is to end at once; the first reason counts. */
  doom(base: number, reason: CloseReason): void {
    const words = this.#words;
    words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.DOOMED;
    if (words[base + L.REASON] === 0) {
      const isFailing = Atomics.load(words, base + L.FAILING) !== 0;
      words[base + L.REASON] = codeOfReason(isFailing ? 'handler' : reason);
    }
    lock.shut(words, base);
  }

  /** Bytes of output that are kept. */
  kept(base: number): number {
    return this.#words[base + L.OUTPUT + BYTES] ?? 0;
  }

  // ---- output ----------------------------------------------------------------------------------------------

  /** Sends, or keeps, all of it. False: it dooms the connection. */
  send(base: number, slot: number, bytes: Uint8Array): boolean {
    let sent = 0;
    if (this.kept(base) === 0 && ((this.#words[base + L.FLAGS] ?? 0) & L.BLOCKED) === 0) {
      sent = this.#write(base, bytes, bytes.byteLength);
      if (sent < 0) {
        this.doom(base, 'reset');
        return false;
      }
    }
    return sent === bytes.byteLength || this.#keep(base, slot, bytes, sent);
  }

  #keep(base: number, slot: number, bytes: Uint8Array, from: number): boolean {
    if (this.kept(base) + bytes.byteLength - from > this.#maxOutput) {
      this.doom(base, 'too-slow');
      return false;
    }
    if (this.chains.append(base + L.OUTPUT, slot + 1, bytes, from, bytes.byteLength)) return true;
    this.doom(base, 'memory');
    return false;
  }

  /** Sends what is kept, as far as the socket takes it. False: the connection is doomed. */
  flush(base: number): boolean {
    const words = this.#words;
    const at = base + L.OUTPUT;
    while (this.kept(base) > 0 && ((words[base + L.FLAGS] ?? 0) & L.BLOCKED) === 0) {
      const gathered = this.chains.peek(at, this.#gathered, 0, GATHER);
      const sent = this.#write(base, this.#gathered, gathered);
      if (sent < 0) {
        this.doom(base, 'reset');
        return false;
      }
      this.chains.drop(at, sent);
    }
    return true;
  }

  /** How many of the first `length` bytes the socket took: fewer, and it is blocked; -1: it is broken. */
  #write(base: number, bytes: Uint8Array, length: number): number {
    const words = this.#words;
    const ssl = L.loadWide(words, base + L.SSL);
    const fd = words[base + L.FD] ?? -1;
    let sent = 0;
    while (sent < length) {
      const n =
        ssl === 0
          ? sendTo(fd, bytes, sent, length - sent)
          : tls.write(ssl, bytes, sent, Math.min(length - sent, tls.RECORD_BYTES));
      if (n <= 0) {
        if (ssl === 0 ? n !== -EAGAIN : n === tls.FAILED || n === tls.END) return -1;
        words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.BLOCKED;
        break;
      }
      sent += n;
      if (ssl === 0 && sent < length) {
        // The kernel tells when there is room again.
        words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.BLOCKED;
        break;
      }
    }
    if (sent > 0) this.#moved(base, L.BYTES_WRITTEN, ssl === 0 ? sent : 0);
    return sent;
  }

  /** Our end of stream; nothing is kept. True: it is sent. */
  sendEnd(base: number): boolean {
    const words = this.#words;
    const ssl = L.loadWide(words, base + L.SSL);
    if (ssl !== 0) {
      if (((words[base + L.FLAGS] ?? 0) & L.BLOCKED) !== 0) return false;
      if (tls.shutdown(ssl) === tls.WANT_WRITE) {
        words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.BLOCKED;
        return false;
      }
    }
    shutdown(words[base + L.FD] ?? -1, WRITE);
    words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.END_SENT;
    return true;
  }

  /** Takes what others have put into the mailbox. True: something was. */
  drain(base: number, slot: number, generation: number): boolean {
    const arena = this.#arena;
    const words = this.#words;
    const first = mailbox.takeAll(arena, words, base);
    for (let item = first; item >= 0; ) {
      const next = mailbox.after(arena, item);
      const at = item * BLOCK_WORDS;
      const flags = words[base + L.FLAGS] ?? 0;
      const bytes = arena.meta[at + ITEM_BYTES] ?? 0;
      if (arena.meta[at + ITEM_GENERATION] !== generation || (flags & (L.DOOMED | L.ENDED | L.END_SENT)) !== 0) {
        mailbox.drop(arena, item);
      } else {
        if (arena.meta[at + KIND] === mailbox.LAST) words[base + L.FLAGS] = flags | L.ENDING;
        if (bytes === 0) {
          mailbox.drop(arena, item);
        } else if (this.kept(base) + bytes > this.#maxOutput && this.kept(base) > 0) {
          mailbox.drop(arena, item);
          this.doom(base, 'too-slow');
        } else if (this.chains.absorb(base + L.OUTPUT, item)) {
          mailbox.drop(arena, item);
        } else {
          mailbox.accept(arena, item, slot + 1);
          this.chains.splice(base + L.OUTPUT, item);
        }
      }
      item = next;
    }
    return first >= 0;
  }

  // ---- input -----------------------------------------------------------------------------------------------

  /** Bytes read into `buffer` from `offset` on; AT_END, NOTHING (more is told of by the kernel), BROKEN or MORE. */
  read(base: number, buffer: Uint8Array, offset: number, length: number): number {
    const words = this.#words;
    const ssl = L.loadWide(words, base + L.SSL);
    if (ssl !== 0) return this.#decrypt(base, ssl, buffer, offset, length);
    const n = receive(words[base + L.FD] ?? -1, buffer, offset, length);
    if (n > 0) this.#moved(base, L.BYTES_READ, n);
    else if (n === -EAGAIN) return NOTHING;
    else if (n < 0) return BROKEN;
    return n;
  }

  #decrypt(base: number, ssl: number, buffer: Uint8Array, offset: number, length: number): number {
    const n = tls.read(ssl, buffer, offset, length);
    const hasMoved = this.#countTo(base + L.WIRE_READ, L.BYTES_READ, tls.wireBytesRead(ssl));
    if (n > 0 || hasMoved) this.#moved(base, L.BYTES_READ, 0);
    if (n === tls.WANT_READ && hasMoved) return MORE;
    if (n === tls.WANT_READ || n === tls.WANT_WRITE) return NOTHING;
    else if (n === tls.FAILED) return BROKEN;
    return n;
  }

  #moved(base: number, field: number, bytes: number): void {
    this.#counts[field] = (this.#counts[field] ?? 0) + bytes;
    this.#words[base + L.ACTIVITY] = Atomics.load(this.#header, L.TICK);
  }

  /** With TLS: counts what the session has moved on the wire since the last time. */
  countWire(base: number): void {
    const words = this.#words;
    const ssl = L.loadWide(words, base + L.SSL);
    if (ssl === 0) return;
    this.#countTo(base + L.WIRE_READ, L.BYTES_READ, tls.wireBytesRead(ssl));
    this.#countTo(base + L.WIRE_WRITTEN, L.BYTES_WRITTEN, tls.wireBytesWritten(ssl));
  }

  /** Whether there are more than there were. */
  #countTo(at: number, field: number, bytes: number): boolean {
    const words = this.#words;
    const more = bytes - L.loadWide(words, at);
    if (more === 0) return false;
    this.#counts[field] = (this.#counts[field] ?? 0) + more;
    L.storeWide(words, at, bytes);
    return true;
  }
}
