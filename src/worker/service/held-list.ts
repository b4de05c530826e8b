/**
 * What one thread holds and is to look at again: level registrations that may still be ready, and those whose next events
 * wait in the claim word. It stands in shared memory, for a peer to take over while the thread is stuck in a handler, and
 * for nobody else but the thread: see position.ts.
 *
 * Half of the room is for what is held, half for what one pass over it puts back.
 */
import { EPOLLET, EPOLLONESHOT, READINESS } from '../../shared/epoll/flags.js';
import { isRegisteredFile, NOT_FILE, pollNow } from '../../shared/kernel/syscalls.js';
import { FD, INTEREST, SLOT_WORDS } from '../../shared/service/layout.js';

const MODES = EPOLLET | EPOLLONESHOT;
const POLLNVAL = 0x20;
/** struct pollfd in 16-bit words: the fd takes two, then events and revents. */
const POLLFD_HALVES = 4;

/** Not level: what is pending says what to run with. */
export const DUE = -1;
/** Its fd is no longer the file that was registered: only the kernel's own answer can say what to do. */
export const FOREIGN = -2;

export class HeldList {
  /** Slot numbers + 1; 0: nothing any more. */
  readonly #entries: Int32Array;
  readonly #slots: Int32Array;
  readonly #epfd: number;
  readonly #limit: number;
  readonly #pollfds: Int16Array;
  readonly #fds: Int32Array;
  /** By entry: which pollfd is about it, or DUE. */
  readonly #asked: Int32Array;
  #length = 0;

  constructor(entries: Int32Array, slots: Int32Array, epfd: number) {
    this.#entries = entries;
    this.#slots = slots;
    this.#epfd = epfd;
    this.#limit = entries.length / 2;
    this.#pollfds = new Int16Array(entries.length * POLLFD_HALVES);
    this.#fds = new Int32Array(this.#pollfds.buffer);
    this.#asked = new Int32Array(entries.length);
  }

  /** How many entries there are, with those counted that a peer has taken since. */
  get length(): number {
    return this.#length;
  }

  /** How many more may be held, once the gaps are closed. */
  get room(): number {
    return this.#limit - this.#length;
  }

  push(slot: number): void {
    this.#entries[this.#length++] = slot + 1;
  }

  /** Closes the gaps, asks poll(2) about all that is level-triggered, and returns how many entries there are now. */
  poll(): number {
    this.compact();
    let asked = 0;
    for (let i = 0; i < this.#length; i++) {
      const base = this.#slotAt(i) * SLOT_WORDS;
      const interest = Atomics.load(this.#slots, base + INTEREST);
      this.#asked[i] = DUE;
      if ((interest & MODES) !== 0) continue;
      this.#asked[i] = asked;
      this.#fds[asked * 2] = this.#slots[base + FD] ?? -1;
      this.#pollfds[asked * POLLFD_HALVES + 2] = interest & READINESS;
      this.#pollfds[asked * POLLFD_HALVES + 3] = 0;
      asked++;
    }
    if (asked > 0) pollNow(this.#pollfds, asked);
    return this.#length;
  }

  /** What entry `i` came to in the last poll: the mask to run with, 0 if it is not ready, DUE, or FOREIGN. */
  answer(i: number): number {
    const asked = this.#asked[i] ?? DUE;
    if (asked === DUE) return this.#isItsFile(this.#slots[this.#slotAt(i) * SLOT_WORDS + FD] ?? -1) ? DUE : FOREIGN;
    const found = (this.#pollfds[asked * POLLFD_HALVES + 3] ?? 0) & 0xffff;
    if (found & POLLNVAL) return FOREIGN;
    // poll(2) knows only the number: it may have been closed, and be another file's by now.
    if (found !== 0 && !this.#isItsFile(this.#fds[asked * 2] ?? -1)) return FOREIGN;
    return found & READINESS;
  }

  /** Whether a peer has taken entry `i` over. */
  isGone(i: number): boolean {
    return this.#entries[i] === 0;
  }

  /** The slot of entry `i`, which is off the list then. */
  take(i: number): number {
    const slot = this.#slotAt(i);
    this.#entries[i] = 0;
    return slot;
  }

  /** Closes the gaps. */
  compact(): void {
    const entries = this.#entries;
    const length = this.#length;
    this.#length = 0;
    for (let i = 0; i < length; i++) {
      const entry = entries[i] ?? 0;
      entries[i] = 0;
      if (entry !== 0) entries[this.#length++] = entry;
    }
  }

  #slotAt(i: number): number {
    return (this.#entries[i] ?? 0) - 1;
  }

  #isItsFile(fd: number): boolean {
    return isRegisteredFile(this.#epfd, fd) !== NOT_FILE;
  }
}
