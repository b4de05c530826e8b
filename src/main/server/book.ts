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
export const GREETED = 1;
export const ANNOUNCED = 2;
export const CLOSED = 4;

export class Book {
  readonly #memory: L.ServerMemory;
  readonly #arena: Arena;
  readonly #chains: Chains;
  readonly #state: Uint8Array;
  readonly #stride: number;
  readonly #slots: number;
  /** The same memory as `words`, byte by byte. */
  readonly #bytes: Uint8Array;
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
    this.#bytes = new Uint8Array(memory.words.buffer, memory.words.byteOffset, memory.words.byteLength);
    this.#generations = new Int32Array(plan.slots);
    this.#freed = new Int32Array(plan.slots);
    this.#known = new Uint8Array(plan.slots);
  }

  /**
   * A slot for a connection, which others know from now on. Its id; -1: no memory for what was read of it. (No object is made for
   * what it is given: idle connections are many.)
   *
   * @param address the peer's struct sockaddr, of `bytes` bytes
   * @param context the TLS context's pointer; 0 for none
   * @param deadline in milliseconds from now; 0: none
   */
  open(
    fd: number,
    address: Uint8Array,
    bytes: number,
    context: number,
    deadline: number,
    unread: Uint8Array | undefined,
  ): number {
    const { words, slotOfFd, header } = this.#memory;
    const slot = this.#take();
    const base = L.baseOf(slot);
    const generation = ((this.#generations[slot] ?? 0) + 1) % 2 ** 29 || 1;
    this.#generations[slot] = generation;
    this.#known[slot] = 0;
    if (words[base + L.STATE_USED] === 1) this.#state.fill(0, slot * this.#stride, (slot + 1) * this.#stride);
    L.clearWords(words, base);
    this.dropMail(slot);
    const tick = Atomics.load(header, L.TICK);
    words[base + L.FD] = fd;
    // Not READABLE: what is there to read by now, the kernel tells when it is registered.
    words[base + L.FLAGS] = context === 0 ? 0 : L.SHAKING;
    words[base + L.ACTIVITY] = tick;
    words[base + L.DEADLINE] = deadline === 0 ? 0 : sharedDeadline(deadline);
    if (context !== 0) L.storeWide(words, base + L.CONTEXT, context);
    // Of a unix socket there is nothing to tell.
    const most = bytes > L.ADDRESS_WORDS * 4 || address[0] === AF_UNIX ? 0 : bytes;
    const at = (base + L.ADDRESS) * 4;
    for (let i = 0; i < most; i++) this.#bytes[at + i] = address[i] ?? 0;
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

  /** Whether no slot is free. */
  get isFull(): boolean {
    return this.size >= this.#slots;
  }

  /** Whether a connection has this fd. */
  has(fd: number): boolean {
    return (this.#memory.slotOfFd[fd] ?? 0) !== 0;
  }

  /** Nobody may send to it, or run it, any more. */
  retire(slot: number): void {
    Atomics.store(this.#memory.words, L.baseOf(slot) + L.GENERATION, 0);
  }

  /** It is retired, and nothing can touch its fd: the slot is anybody's. */
  free(slot: number): void {
    const { words, slotOfFd } = this.#memory;
    const fd = words[L.baseOf(slot) + L.FD] ?? -1;
    if (slotOfFd[fd] === slot + 1) slotOfFd[fd] = 0;
    this.dropMail(slot);
    this.#putBack(slot);
    this.size--;
  }

  /** What was pushed when its connection had just ended. */
  dropMail(slot: number): void {
    const base = L.baseOf(slot);
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
      const base = L.baseOf(slot);
      if (words[base + L.MAIL] !== 0 && Atomics.load(words, base + L.GENERATION) === 0) this.dropMail(slot);
    }
  }

  /** All that is kept for it, of a connection that no thread has any more. */
  clear(slot: number): void {
    const base = L.baseOf(slot);
    for (const at of [L.INPUT, L.BACKLOG, L.OUTPUT]) this.#chains.clear(base + at);
    this.dropMail(slot);
  }

  /** Its id; 0: there is no connection. */
  idAt(slot: number): number {
    const generation = Atomics.load(this.#memory.words, L.baseOf(slot) + L.GENERATION);
    return generation === 0 ? 0 : L.idOf(slot, generation);
  }

  /** The next slot from `from` on that a connection has; -1: there is none. */
  next(from: number): number {
    const { words, header } = this.#memory;
    const top = Atomics.load(header, L.TOP);
    for (let slot = from; slot < top; slot++) {
      if (Atomics.load(words, L.baseOf(slot) + L.GENERATION) !== 0) return slot;
    }
    return -1;
  }

  /** The slots that connections have. */
  *slots(): IterableIterator<number> {
    for (let slot = this.next(0); slot >= 0; slot = this.next(slot + 1)) yield slot;
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
    const base = L.baseOf(slot);
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
    // Nothing comes behind its end.
    if (kind === mailbox.LAST) lock.seal(words, base, generation);
    return true;
  }
}
