/**
 * Where one thread finds what it is to come to: slots that are due, in the order in which it came to know of them. It stands
 * in shared memory and belongs to nobody: what is due may be taken by anyone (see claim.ts), the list only says where to look.
 * So a peer may read it at any time, and what it finds there may be gone, or done, by then.
 */

export class DueList {
  /** Slot numbers + 1; 0: nothing. */
  readonly #entries: Int32Array;
  #first = 0;
  #length = 0;

  constructor(entries: Int32Array) {
    this.#entries = entries;
    entries.fill(0); // a thread that was here before is dead, and what it had was seen to
  }

  get length(): number {
    return this.#length;
  }

  /** False: it is full. */
  push(slot: number): boolean {
    const entries = this.#entries;
    if (this.#length === entries.length) return false;
    entries[(this.#first + this.#length) % entries.length] = slot + 1;
    this.#length++;
    return true;
  }

  /** The first; it must not be empty. */
  shift(): number {
    const entries = this.#entries;
    const slot = (entries[this.#first] ?? 0) - 1;
    entries[this.#first] = 0;
    this.#first = (this.#first + 1) % entries.length;
    this.#length--;
    return slot;
  }
}
