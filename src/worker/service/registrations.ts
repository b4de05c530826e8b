/** Reads what a slot says of its registration, whole, while modify() may be writing it. */
import { FD, GENERATION, HIGH, INTEREST, LOW, SEQUENCE, SLOT_WORDS, STAMP } from '../../shared/service/layout.js';

export class Registrations {
  readonly #slots: Int32Array;
  fd = 0;
  generation = 0;
  interest = 0;
  low = 0;
  high = 0;
  /** As it was when the interest and the data were what they are here. */
  stamp = 0;

  constructor(slots: Int32Array) {
    this.#slots = slots;
  }

  /** Of a slot that this thread holds: its fd and generation stay. */
  load(slot: number): void {
    const slots = this.#slots;
    const base = slot * SLOT_WORDS;
    this.fd = Atomics.load(slots, base + FD);
    this.generation = Atomics.load(slots, base + GENERATION);
    for (;;) {
      const sequence = Atomics.load(slots, base + SEQUENCE);
      this.interest = Atomics.load(slots, base + INTEREST);
      this.low = Atomics.load(slots, base + LOW);
      this.high = Atomics.load(slots, base + HIGH);
      this.stamp = Atomics.load(slots, base + STAMP);
      // Odd for as long as the main thread takes to store four words.
      if ((sequence & 1) === 0 && Atomics.load(slots, base + SEQUENCE) === sequence) return;
    }
  }
}
