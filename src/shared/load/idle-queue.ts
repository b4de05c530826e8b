/** Connections that wait for a request to be due: a queue for many threads (Vyukov's bounded one). */

const HEAD = 0;
const TAIL = 16; // on a cache line of its own
const CELLS = 32;

export class IdleQueue {
  readonly #words: Int32Array;
  readonly #mask: number;

  /** @param words as `create` made them */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#mask = (words.length - CELLS) / 2 - 1;
  }

  /** Memory for `capacity` connections, each in the queue once at most. */
  static create(capacity: number): Int32Array {
    const cells = 2 ** Math.ceil(Math.log2(Math.max(2, capacity)));
    const words = new Int32Array(new SharedArrayBuffer((CELLS + 2 * cells) * 4));
    for (let i = 0; i < cells; i++) words[CELLS + 2 * i] = i;
    return words;
  }

  push(id: number): void {
    const words = this.#words;
    for (;;) {
      const tail = Atomics.load(words, TAIL);
      const cell = CELLS + 2 * (tail & this.#mask);
      if (Atomics.load(words, cell) !== tail) continue; // another thread is at it
      if (Atomics.compareExchange(words, TAIL, tail, (tail + 1) | 0) !== tail) continue;
      words[cell + 1] = id;
      Atomics.store(words, cell, (tail + 1) | 0);
      return;
    }
  }

  /** The connection that has waited longest; -1 if there is none. */
  pop(): number {
    const words = this.#words;
    for (;;) {
      const head = Atomics.load(words, HEAD);
      const cell = CELLS + 2 * (head & this.#mask);
      const ahead = (Atomics.load(words, cell) - head - 1) | 0;
      if (ahead < 0) return -1;
      if (ahead > 0 || Atomics.compareExchange(words, HEAD, head, (head + 1) | 0) !== head) continue;
      const id = words[cell + 1] ?? 0;
      Atomics.store(words, cell, (head + this.#mask + 1) | 0);
      return id;
    }
  }
}
