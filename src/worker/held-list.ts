/**
 * What one thread holds and is to look at again: level registrations that may still be ready, and edges that came during
 * a run. It stands in shared memory; an entry belongs to whoever exchanges its slot for 0.
 *
 * Half of the room is for what is held, half for what one pass over it puts back.
 */
import { READINESS } from '../shared/flags.js';
import { FD, HELD_DUE, HELD_GENERATION, HELD_SLOT, HELD_WORDS, INTEREST, SLOT_WORDS } from '../shared/layout.js';
import { isRegisteredFile, pollNow } from '../shared/syscalls.js';

const POLLNVAL = 0x20;
/** struct pollfd in 16-bit words: the fd takes two, then events and revents. */
const POLLFD_HALVES = 4;

/** Its fd is no longer the file that was registered: only the kernel's own answer can say what to do. */
export const FOREIGN = -1;

export class HeldList {
  readonly #entries: Int32Array;
  readonly #slots: Int32Array;
  readonly #epfd: number;
  readonly #limit: number;
  readonly #pollfds: Int16Array;
  readonly #fds: Int32Array;
  #length = 0;
  #polled = 0;

  constructor(entries: Int32Array, slots: Int32Array, epfd: number) {
    this.#entries = entries;
    this.#slots = slots;
    this.#epfd = epfd;
    this.#limit = entries.length / HELD_WORDS / 2;
    this.#pollfds = new Int16Array(this.#limit * POLLFD_HALVES);
    this.#fds = new Int32Array(this.#pollfds.buffer);
  }

  /** How many entries there are, with those counted that a peer has taken since. */
  get length(): number {
    return this.#length;
  }

  /** How many more may be held, once the gaps are closed. */
  get room(): number {
    return this.#limit - this.#length;
  }

  /** @param due the mask to run with at once; 0: ask whether it is ready */
  push(slot: number, generation: number, due: number): void {
    const at = this.#length++ * HELD_WORDS;
    this.#entries[at + HELD_GENERATION] = generation;
    this.#entries[at + HELD_DUE] = due;
    Atomics.store(this.#entries, at + HELD_SLOT, slot + 1);
  }

  /** Closes the gaps, asks poll(2) about all that is not due, and returns how many entries there are now. */
  poll(): number {
    this.compact();
    const slots = this.#slots;
    let asked = 0;
    for (let i = 0; i < this.#length; i++) {
      if (this.dueAt(i) !== 0) continue;
      const base = this.slotAt(i) * SLOT_WORDS;
      this.#fds[asked * 2] = slots[base + FD] ?? -1;
      this.#pollfds[asked * POLLFD_HALVES + 2] = (slots[base + INTEREST] ?? 0) & READINESS;
      this.#pollfds[asked * POLLFD_HALVES + 3] = 0;
      asked++;
    }
    if (asked > 0) pollNow(this.#pollfds, asked);
    this.#polled = 0;
    return this.#length;
  }

  /**
   * The entry's part in the last poll, asked once for each entry and in order: the mask to run with, 0 if it is not
   * ready, or FOREIGN.
   */
  answer(i: number): number {
    const due = this.dueAt(i);
    if (due !== 0) return this.#isItsFile(this.#fdOf(i)) ? due : FOREIGN;
    const asked = this.#polled++;
    const found = (this.#pollfds[asked * POLLFD_HALVES + 3] ?? 0) & 0xffff;
    if (found & POLLNVAL) return FOREIGN;
    // poll(2) knows only the number: it may have been closed, and be another file's by now.
    if (found !== 0 && !this.#isItsFile(this.#fds[asked * 2] ?? -1)) return FOREIGN;
    return found & READINESS;
  }

  /** Of an entry that a peer has taken, whatever: nobody asks what it came to. */
  #fdOf(i: number): number {
    return this.#slots[Math.max(0, this.slotAt(i)) * SLOT_WORDS + FD] ?? -1;
  }

  #isItsFile(fd: number): boolean {
    return isRegisteredFile(this.#epfd, fd);
  }

  slotAt(i: number): number {
    return Atomics.load(this.#entries, i * HELD_WORDS + HELD_SLOT) - 1;
  }

  generationAt(i: number): number {
    return this.#entries[i * HELD_WORDS + HELD_GENERATION] ?? 0;
  }

  dueAt(i: number): number {
    return this.#entries[i * HELD_WORDS + HELD_DUE] ?? 0;
  }

  /** Whether the entry is this thread's to deal with; it is off the list then. */
  take(i: number): boolean {
    return Atomics.exchange(this.#entries, i * HELD_WORDS + HELD_SLOT, 0) !== 0;
  }

  /** Closes the gaps. */
  compact(): void {
    const length = this.#length;
    this.#length = 0;
    for (let i = 0; i < length; i++) {
      const slot = this.slotAt(i);
      if (slot < 0) continue;
      if (i === this.#length) this.#length++;
      else if (this.take(i)) this.push(slot, this.generationAt(i), this.dueAt(i));
    }
  }
}
