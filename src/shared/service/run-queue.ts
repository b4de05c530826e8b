/**
 * The run queue: slots that are due, for whoever is free. One bit for each slot, in shared memory, so that a slot is in it
 * at most once, it cannot overflow, and no thread that dies leaves it locked.
 *
 * The bits of 32 words are summed up by one word of the next level, up to a single word: 0 there is an empty queue. `push`
 * sets a slot's bit and then those above it that are not set. `pop` clears the bit of the slot that it returns: one caller
 * gets it. If that empties the word, it clears the bit above and looks at the word again: a push that came in between is
 * either seen by that look, or sees the cleared bit and sets it. A thread that dies between the two leaves a bit unset above
 * a word that is not empty; the registry mends that (`mend`). A bit that is set above an empty word does no harm: the next
 * search clears it.
 *
 * Searches go round: each begins behind the slot that was found last, by whichever thread. So every slot has its turn,
 * however often others come back.
 */

const WITHIN = 31;
const BITS = 5;

/** How many words a queue of that many slots takes. */
export function queueWords(slots: number): number {
  let words = 0;
  for (let size = Math.ceil(slots / 32); ; size = Math.ceil(size / 32)) {
    words += size;
    if (size === 1) return words;
  }
}

export class RunQueue {
  readonly #words: Int32Array;
  /** Where each level begins; the last one has one word. */
  readonly #levels: number[] = [];
  readonly #top: number;
  readonly #header: Int32Array;
  readonly #cursor: number;

  /** @param cursor where in `header` the place of the next search stands */
  constructor(words: Int32Array, slots: number, header: Int32Array, cursor: number) {
    this.#words = words;
    this.#header = header;
    this.#cursor = cursor;
    let at = 0;
    for (let size = Math.ceil(slots / 32); ; size = Math.ceil(size / 32)) {
      this.#levels.push(at);
      at += size;
      if (size === 1) break;
    }
    this.#top = at - 1;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#words, this.#top) === 0;
  }

  push(slot: number): void {
    Atomics.or(this.#words, slot >>> BITS, 1 << (slot & WITHIN));
    this.#announce(0, slot >>> BITS);
  }

  /** A slot that nobody else gets; -1: there is none. */
  pop(): number {
    if (this.isEmpty) return -1;
    const from = Atomics.load(this.#header, this.#cursor);
    for (let slot = this.#find(from); ; slot = this.#find(0)) {
      while (slot >= 0) {
        if (this.#take(slot)) {
          Atomics.store(this.#header, this.#cursor, slot + 1);
          return slot;
        }
        slot = this.#find(slot);
      }
      if (this.isEmpty) return -1;
    }
  }

  /** Sets what a dead thread has left unset. */
  mend(): void {
    const leaves = this.#levels[1] ?? this.#words.length;
    for (let word = 0; word < leaves; word++) if (Atomics.load(this.#words, word) !== 0) this.#announce(0, word);
  }

  /** Sets the bits above word `index` of a level. */
  #announce(level: number, index: number): void {
    let at = index;
    for (let above = level + 1; above < this.#levels.length; above++) {
      const word = (this.#levels[above] ?? 0) + (at >>> BITS);
      const bit = 1 << (at & WITHIN);
      if ((Atomics.load(this.#words, word) & bit) === 0) Atomics.or(this.#words, word, bit);
      at >>>= BITS;
    }
  }

  #take(slot: number): boolean {
    const index = slot >>> BITS;
    const bit = 1 << (slot & WITHIN);
    const before = Atomics.and(this.#words, index, ~bit);
    if ((before & bit) === 0) return false;
    if (before === bit) this.#clear(0, index);
    return true;
  }

  /** Word `index` of a level was found empty: the bit above goes, unless something has come. */
  #clear(level: number, index: number): void {
    const words = this.#words;
    for (let at = index, below = level; below + 1 < this.#levels.length; below++) {
      const here = (this.#levels[below] ?? 0) + at;
      const above = (this.#levels[below + 1] ?? 0) + (at >>> BITS);
      const bit = 1 << (at & WITHIN);
      const before = Atomics.and(words, above, ~bit);
      if (Atomics.load(words, here) !== 0) {
        this.#announce(below, at);
        return;
      }
      if (before !== bit) return;
      at >>>= BITS;
    }
  }

  /** The first slot from `from` on whose bit is set; -1: there was none. */
  #find(from: number): number {
    const words = this.#words;
    const levels = this.#levels.length;
    let level = 0;
    let at = from;
    for (;;) {
      // Up, to a word that has something at or behind `at`; bits below it in the word do not count.
      let index = at >>> BITS;
      let word = index < this.#sizeOf(level) ? this.#wordOf(level, index) : 0;
      let found = word & (-1 << (at & WITHIN));
      while (found === 0) {
        if (level + 1 === levels) return -1;
        // A bit that is set above an empty word goes, or nobody would ever see that the queue is empty.
        if (word === 0 && this.#isAnnounced(level, index)) this.#clear(level, index);
        level++;
        at = index + 1;
        index = at >>> BITS;
        word = index < this.#sizeOf(level) ? this.#wordOf(level, index) : 0;
        found = word & (-1 << (at & WITHIN));
      }
      // Down, to its first slot.
      for (;;) {
        at = index * 32 + (31 - Math.clz32(found & -found));
        if (level === 0) return at;
        level--;
        index = at;
        found = this.#wordOf(level, index);
        if (found === 0) {
          // Nothing there any more: the bit above goes, and the search goes on behind it.
          if (Atomics.load(words, (this.#levels[level] ?? 0) + index) === 0) this.#clear(level, index);
          level++;
          at = index + 1;
          break;
        }
      }
    }
  }

  /** Whether the bit above that word of a level is set. */
  #isAnnounced(level: number, index: number): boolean {
    const above = index >>> BITS;
    return above < this.#sizeOf(level + 1) && (this.#wordOf(level + 1, above) & (1 << (index & WITHIN))) !== 0;
  }

  #wordOf(level: number, index: number): number {
    return Atomics.load(this.#words, (this.#levels[level] ?? 0) + index);
  }

  #sizeOf(level: number): number {
    return (this.#levels[level + 1] ?? this.#words.length) - (this.#levels[level] ?? 0);
  }
}
