/**
 * Sending to a connection from outside its run: another connection's handler, a later part of an async one. The lock is taken for
 * the time of a write; where somebody has it, the bytes go to the mailbox, for that one to send.
 */
import { type Arena, SENDER } from '../../shared/server/arena.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import * as mailbox from '../../shared/server/mailbox.js';
import type { Wire } from './wire.js';

export interface SenderParts {
  readonly memory: L.ServerMemory;
  readonly arena: Arena;
  readonly wire: Wire;
  readonly index: number;
  readonly maxOutput: number;
  readonly wake: (slot: number) => void;
}

export class Senders {
  readonly #words: Int32Array;
  readonly #intents: Int32Array;
  readonly #arena: Arena;
  readonly #wire: Wire;
  readonly #owner: number;
  readonly #maxOutput: number;
  readonly #wake: (slot: number) => void;

  constructor({ memory, arena, wire, index, maxOutput, wake }: SenderParts) {
    this.#words = memory.words;
    this.#intents = memory.threads[index]?.words ?? new Int32Array(8);
    this.#arena = arena;
    this.#wire = wire;
    this.#owner = index + 1;
    this.#maxOutput = maxOutput;
    this.#wake = wake;
  }

  /** Whether the connection took it: all of it will be sent, unless the connection ends before. @param kind mailbox.DATA or LAST */
  deliver(slot: number, generation: number, bytes: Uint8Array, kind: number): boolean {
    const base = L.baseOf(slot);
    const verdict = lock.take(this.#words, base, generation, this.#owner, 0, false);
    if (verdict === lock.GONE) return false;
    if (verdict === lock.HELD) return this.#leave(base, slot, generation, bytes, kind);
    const words = this.#words;
    const known = words[base + L.FLAGS] ?? 0;
    if ((known & L.OPENED) === 0) {
      // Its open() comes first.
      const taken = this.#mail(base, slot, generation, bytes, kind);
      if (taken && kind === mailbox.LAST) lock.shut(words, base);
      this.letGo(base, slot, generation, known);
      return taken;
    }
    // Somebody may have put something there and not come to say so: what is sent now goes behind it, and with it.
    this.look(base, slot, generation);
    const ended = ((words[base + L.FLAGS] ?? 0) & (L.ENDING | L.DOOMED)) !== 0;
    const sent = !ended && (bytes.byteLength === 0 || this.#wire.send(base, slot, bytes));
    if (sent && kind === mailbox.LAST) {
      words[base + L.FLAGS] = (words[base + L.FLAGS] ?? 0) | L.ENDING;
      lock.shut(words, base);
    }
    this.#wire.countWire(base);
    this.letGo(base, slot, generation, known);
    return sent;
  }

  /** Somebody has the lock: into the mailbox with it. */
  #leave(base: number, slot: number, generation: number, bytes: Uint8Array, kind: number): boolean {
    if (!this.#mail(base, slot, generation, bytes, kind)) return false;
    if (lock.take(this.#words, base, generation, this.#owner, lock.MAIL, false) === lock.TAKEN) {
      const known = this.#words[base + L.FLAGS] ?? 0;
      if ((known & L.OPENED) !== 0) this.look(base, slot, generation);
      this.letGo(base, slot, generation, known);
    }
    // Nothing comes behind its end. Not before: the lock of one that is shut is its runs' alone.
    if (kind === mailbox.LAST) lock.seal(this.#words, base, generation);
    return true;
  }

  #mail(base: number, slot: number, generation: number, bytes: Uint8Array, kind: number): boolean {
    const words = this.#words;
    const kept = this.#wire.kept(base) + mailbox.bytesIn(this.#arena, words, base);
    const item =
      kept + bytes.byteLength > this.#maxOutput
        ? -2
        : mailbox.write(this.#arena, SENDER | this.#owner, kind, generation, bytes);
    if (item < 0) {
      lock.doom(words, base, generation, item === -1 ? lock.NO_MEMORY : lock.TOO_SLOW);
      this.#wake(slot);
      return false;
    }
    mailbox.push(this.#arena, words, base, slot, item, this.#intents);
    return true;
  }

  /** Takes what the mailbox has, and sends it. */
  look(base: number, slot: number, generation: number): void {
    const words = this.#words;
    if (!this.#wire.drain(base, slot, generation)) return;
    if (((words[base + L.FLAGS] ?? 0) & L.ENDING) !== 0) lock.shut(words, base);
    this.#wire.flush(base);
  }

  /**
   * Lets go of the lock, once the mailbox has nothing more; has the connection run if there is more to do than to send.
   *
   * @param known the FLAGS that its runs know of
   */
  letGo(base: number, slot: number, generation: number, known: number): void {
    const words = this.#words;
    for (;;) {
      const flags = words[base + L.FLAGS] ?? 0;
      const verdict = lock.letGo(words, base);
      if (verdict === lock.LOOK) {
        if ((flags & L.OPENED) !== 0) this.look(base, slot, generation);
        continue;
      }
      const due = (flags & ~known & (L.ENDING | L.DOOMED)) !== 0 && (flags & L.ENDED) === 0;
      if (verdict === lock.RERUN || due) this.#wake(slot);
      return;
    }
  }
}
