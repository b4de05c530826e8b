/**
 * A ring from one thread to the main thread, single producer and single consumer.
 *
 * TAIL counts what was put in, HEAD what was taken out; both only grow, and wrap. The producer writes an entry before it
 * stores TAIL, the consumer reads it before it stores HEAD: each sees the other's entries whole. A producer that finds no
 * room sets FULL, looks again, and sleeps on HEAD; the consumer stores HEAD, then looks at FULL: one of them sees the other.
 *
 * Each end keeps its own count, and the other's as it last saw it: it looks again only when that says full, or empty. So
 * the two counts' cache lines do not travel with every entry.
 */
import { ENTRY_WORDS, FULL, HEAD, RING_ENTRIES, TAIL, type ThreadMemory } from './layout.js';

/** The thread's end. */
export class RingWriter {
  readonly ring: Int32Array;
  readonly #words: Int32Array;
  #tail: number;
  #head: number;

  /** Goes on where a thread that was here before has ended. */
  constructor(memory: ThreadMemory) {
    this.#words = memory.words;
    this.ring = memory.ring;
    this.#tail = Atomics.load(memory.words, TAIL);
    this.#head = Atomics.load(memory.words, HEAD);
  }

  /** Where the next entry goes in the ring; -1 while there is no room. */
  reserve(): number {
    const tail = this.#tail;
    if (((tail - this.#head) | 0) >= RING_ENTRIES) {
      this.#head = Atomics.load(this.#words, HEAD);
      if (((tail - this.#head) | 0) >= RING_ENTRIES) return -1;
    }
    return (tail & (RING_ENTRIES - 1)) * ENTRY_WORDS;
  }

  /** The entry at the reserved place is written. */
  commit(): void {
    this.#tail = (this.#tail + 1) | 0;
    Atomics.store(this.#words, TAIL, this.#tail);
  }

  /** Sleeps until an entry was taken, at most `milliseconds`. */
  sleep(milliseconds: number): void {
    const words = this.#words;
    Atomics.store(words, FULL, 1);
    const head = Atomics.load(words, HEAD);
    if (((this.#tail - head) | 0) >= RING_ENTRIES) Atomics.wait(words, HEAD, head, milliseconds);
    Atomics.store(words, FULL, 0);
  }
}

/** The main thread's end. */
export class RingReader {
  readonly ring: Int32Array;
  readonly #words: Int32Array;
  #head = 0;
  #tail = 0;
  #mark = 0;

  constructor(memory: ThreadMemory) {
    this.#words = memory.words;
    this.ring = memory.ring;
  }

  /** How many entries there are. */
  get length(): number {
    this.#tail = Atomics.load(this.#words, TAIL);
    return (this.#tail - this.#head) | 0;
  }

  /** Remembers how far it goes by now. */
  mark(): void {
    this.#mark = Atomics.load(this.#words, TAIL);
  }

  /** Whether all that was there at the last `mark` was taken. */
  get isPastMark(): boolean {
    return ((this.#head - this.#mark) | 0) >= 0;
  }

  /** Where the oldest entry stands in the ring; -1: there is none. */
  peek(): number {
    const head = this.#head;
    if (head === this.#tail) {
      this.#tail = Atomics.load(this.#words, TAIL);
      if (head === this.#tail) return -1;
    }
    return (head & (RING_ENTRIES - 1)) * ENTRY_WORDS;
  }

  /** The oldest entry was read. */
  shift(): void {
    const words = this.#words;
    this.#head = (this.#head + 1) | 0;
    Atomics.store(words, HEAD, this.#head);
    if (Atomics.load(words, FULL) === 1) Atomics.notify(words, HEAD);
  }

  /** Whether an entry of this slot and generation with this operation is on its way. */
  has(op: number, slot: number, generation: number): boolean {
    const { ring } = this;
    const tail = Atomics.load(this.#words, TAIL);
    for (let i = this.#head; i !== tail; i = (i + 1) | 0) {
      const at = (i & (RING_ENTRIES - 1)) * ENTRY_WORDS;
      if (ring[at] === op && ring[at + 1] === slot && ring[at + 2] === generation) return true;
    }
    return false;
  }

  /** Wakes a thread that waits for room, to see that the service ends. */
  wakeWriter(): void {
    Atomics.notify(this.#words, HEAD);
  }
}
