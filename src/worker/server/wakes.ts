/**
 * How a connection is had to run without readiness: a bit of its slot, and an eventfd that is registered with the service, edge-triggered.
 * Whichever thread takes its event runs all whose bits are set.
 */
import { type Memory, read, write } from '../../shared/kernel/syscalls.js';
import { type ServerMemory, TOP, WOKEN } from '../../shared/server/layout.js';
import type { Engine } from './engine.js';

const ONE: Memory = new BigUint64Array([1n]);

export class Wakes {
  readonly fd: number;
  readonly #header: Int32Array;
  readonly #bits: Int32Array;
  readonly #count: Memory = new BigUint64Array(1);

  constructor({ header, wakes }: ServerMemory, fd: number) {
    this.#header = header;
    this.#bits = wakes;
    this.fd = fd;
  }

  wake(slot: number): void {
    Atomics.or(this.#bits, slot >>> 5, 1 << (slot & 31));
    if (Atomics.exchange(this.#header, WOKEN, 1) === 0) write(this.fd, ONE, 8);
  }

  /** A thread has taken the eventfd's event. */
  run(engine: Engine): void | Promise<void> {
    read(this.fd, this.#count, 8);
    Atomics.store(this.#header, WOKEN, 0);
    let wait: Promise<void> | undefined;
    const words = (Atomics.load(this.#header, TOP) + 31) >>> 5;
    for (let i = 0; i < words; i++) {
      if (this.#bits[i] === 0) continue;
      let bits = Atomics.exchange(this.#bits, i, 0);
      for (; bits !== 0; bits &= bits - 1) {
        const slot = i * 32 + 31 - Math.clz32(bits & -bits);
        // The thread may begin no more: another, or a later run, does it.
        if (engine.isFull) this.wake(slot);
        else wait = engine.visit(slot, 0) ?? wait;
      }
      if (engine.isFull) break;
    }
    return wait;
  }
}
