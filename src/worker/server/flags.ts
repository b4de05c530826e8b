/** A connection's FLAGS, for who holds its lock. */
import { FLAGS } from '../../shared/server/layout.js';

export class Flags {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  of(base: number): number {
    return this.#words[base + FLAGS] ?? 0;
  }

  set(base: number, flags: number): void {
    this.#words[base + FLAGS] = this.of(base) | flags;
  }

  clear(base: number, flags: number): void {
    this.#words[base + FLAGS] = this.of(base) & ~flags;
  }
}
