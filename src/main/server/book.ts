/**
 * The slots of a server's connections, as the main thread keeps them. A slot is its connection's from open() to free(); a
 * generation is never used twice. Freed slots rest for as long as can be before they are used again.
 */
import { sharedDeadline } from '../../shared/clock.js';
import { AF_UNIX } from '../../shared/kernel/sockets.js';
import { type Arena, SENDER } from '../../shared/server/arena.js';
import { Chains } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import * as mailbox from '../../shared/server/mailbox.js';

/** How the main thread knows a slot: bits. */
export const REGISTERED = 1;
export const ANNOUNCED = 2;
export const CLOSED = 4;

export interface NewConnection {
  readonly fd: number;
  /** The peer's struct sockaddr, of `bytes` bytes. */
  readonly address: Uint8Array;
  readonly bytes: number;
  /** The TLS context's pointer; 0 for none. */
  readonly context: number;
  /** In milliseconds from now; 0: none. */
  readonly deadline: number;
  readonly unread: Uint8Array | undefined;
}

export class Book {
  readonly #memory: L.ServerMemory;
  readonly #arena: Arena;
  readonly #chains: Chains;
  readonly #state: Uint8Array;
  readonly #stride: number;
  readonly #slots: number;
  readonly #generations: Int32Array;
  /** Slots that were freed, in turn: a ring. */
  readonly #freed: Int32Array;
  #firstFreed = 0;
  #freedCount = 0;
  #unused = 0;
  readonly #known: Uint8Array;
  readonly #intents = new Int32Array(8);
  /** Slots in use. */
  size = 0;

  constructor(plan: L.ServerPlan, memory: L.ServerMemory, arena: Arena) {
    this.#memory = memory;
    this.#arena = arena;
    this.#chains = new Chains(arena, memory.words);
    this.#state = new Uint8Array(plan.state);
    this.#stride = L.stateStride(plan.stateBytes);
    this.#slots = plan.slots;
    this.#generations = new Int32Array(plan.slots);
    this.#freed = new Int32Array(plan.slots);
    this.#known = new Uint8Array(plan.slots);
  }

  /** A slot for a connection, which others know from now on. Its id; -1: no memory for what was read of it. */
  open(connection: NewConnection): number {
    const { words, slotOfFd, header } = this.#memory;
    const { fd, address, bytes, context, deadline, unread } = connection;
    const slot = this.#take();
    const base = slot * L.CONNECTION_WORDS;
    const generation = ((this.#generations[slot] ?? 0) + 1) % 2 ** 29 || 1;
    this.#generations[slot] = generation;
    this.#known[slot] = 0;
    if (words[base + L.STATE_USED] === 1) this.#state.fill(0, slot * this.#stride, (slot + 1) * this.#stride);
    const epoch = words[base + L.EPOCH] ?? 0;
    words.fill(0, base + L.EVENTS, base + L.CONNECTION_WORDS);
    this.dropMail(slot);
    const tick = Atomics.load(header, L.TICK);
    words[base + L.EPOCH] = (epoch + 1) | 0;
    words[base + L.FD] = fd;
    words[base + L.FLAGS] = L.READABLE | (context === 0 ? 0 : L.SHAKING);
    words[base + L.ACTIVITY] = tick;
    words[base + L.DEADLINE] = deadline === 0 ? 0 : sharedDeadline(deadline);
    L.storeWide(words, base + L.CONTEXT, context);
    // Of a unix socket there is nothing to tell.
    const most = bytes > L.ADDRESS_WORDS * 4 || address[0] === AF_UNIX ? 0 : bytes;
    new Uint8Array(words.buffer, words.byteOffset + (base + L.ADDRESS) * 4, L.ADDRESS_WORDS * 4).set(
      address.subarray(0, most),
    );
    words[base + L.ADDRESS_BYTES] = most;
    if (unread !== undefined && !this.#chains.append(base + L.BACKLOG, slot + 1, unread, 0, unread.length)) {
      this.#chains.clear(base + L.BACKLOG);
      this.#putBack(slot);
      return -1;
    }
    if (fd < slotOfFd.length) slotOfFd[fd] = slot + 1;
    if (slot >= Atomics.load(header, L.TOP)) Atomics.store(header, L.TOP, slot + 1);
    Atomics.store(words, base + L.LOCK, lock.freshWord(generation, context === 0));
    Atomics.store(words, base + L.GENERATION, generation);
    this.size++;
    return L.idOf(slot, generation);
  }

  #take(): number {
    const reserve = Math.min(this.#slots, 2 * this.size + 1024);
    if (this.#freedCount === 0 || this.#unused < reserve) {
      if (this.#unused < this.#slots) return this.#unused++;
    }
    const slot = this.#freed[this.#firstFreed] ?? 0;
    this.#firstFreed = (this.#firstFreed + 1) % this.#slots;
    this.#freedCount--;
    return slot;
  }

  #putBack(slot: number): void {
    this.#freed[(this.#firstFreed + this.#freedCount) % this.#slots] = slot;
    this.#freedCount++;
  }

  /** Nobody may send to it, or run it, any more. */
  retire(slot: number): void {
    Atomics.store(this.#memory.words, slot * L.CONNECTION_WORDS + L.GENERATION, 0);
  }

  /** It is retired, and nothing can touch its fd: the slot is anybody's. */
  free(slot: number): void {
    const { words, slotOfFd } = this.#memory;
    const fd = words[slot * L.CONNECTION_WORDS + L.FD] ?? -1;
    if (slotOfFd[fd] === slot + 1) slotOfFd[fd] = 0;
    this.dropMail(slot);
    this.#putBack(slot);
    this.size--;
  }

  /** What was pushed when its connection had just ended. */
  dropMail(slot: number): void {
    const base = slot * L.CONNECTION_WORDS;
    for (let item = mailbox.takeAll(this.#arena, this.#memory.words, base); item >= 0; ) {
      const next = mailbox.after(this.#arena, item);
      mailbox.drop(this.#arena, item);
      item = next;
    }
  }

  /** The same in all slots that are free: a sender may have been about to push when its connection ended. */
  sweep(): void {
    const { words, header } = this.#memory;
    for (let slot = Atomics.load(header, L.TOP) - 1; slot >= 0; slot--) {
      const base = slot * L.CONNECTION_WORDS;
      if (words[base + L.MAIL] !== 0 && Atomics.load(words, base + L.GENERATION) === 0) this.dropMail(slot);
    }
  }

  /** All that is kept for it, of a connection that no thread has any more. */
  clear(slot: number): void {
    const base = slot * L.CONNECTION_WORDS;
    for (const at of [L.INPUT, L.BACKLOG, L.OUTPUT]) this.#chains.clear(base + at);
    this.dropMail(slot);
  }

  /** Its id; 0: there is no connection. */
  idAt(slot: number): number {
    const generation = Atomics.load(this.#memory.words, slot * L.CONNECTION_WORDS + L.GENERATION);
    return generation === 0 ? 0 : L.idOf(slot, generation);
  }

  /** The slots that connections have. */
  *slots(): IterableIterator<number> {
    const top = Atomics.load(this.#memory.header, L.TOP);
    for (let slot = 0; slot < top; slot++) if (this.idAt(slot) !== 0) yield slot;
  }

  knows(slot: number, what: number): boolean {
    return ((this.#known[slot] ?? 0) & what) !== 0;
  }

  note(slot: number, what: number): void {
    this.#known[slot] = (this.#known[slot] ?? 0) | what;
  }

  /**
   * Puts bytes into a connection's mailbox; a run is to follow, whatever comes of it. Whether the connection takes output.
   *
   * @param maxOutput the most that may be kept
   */
  mail(id: number, kind: number, bytes: Uint8Array, maxOutput: number): boolean {
    const { words } = this.#memory;
    const slot = L.slotOf(id);
    const generation = L.generationOf(id);
    const base = slot * L.CONNECTION_WORDS;
    if (slot >= this.#slots || generation === 0 || !lock.isOpen(words, base, generation)) return false;
    const kept = this.#chains.bytesOf(base + L.OUTPUT) + mailbox.bytesIn(this.#arena, words, base);
    if (kept + bytes.byteLength > maxOutput) {
      lock.doom(words, base, generation, lock.TOO_SLOW);
      return false;
    }
    const item = mailbox.write(this.#arena, SENDER | L.MAIN, kind, generation, bytes);
    if (item < 0) {
      lock.doom(words, base, generation, lock.NO_MEMORY);
      return false;
    }
    mailbox.push(this.#arena, words, base, slot, item, this.#intents);
    return true;
  }
}
