/**
 * Beginnings of long messages, in one piece, for a frame() that must see all of it to know its length: a thread's own copies of what
 * is kept. Only what has come since the thread last looked is copied, so a message that trickles in costs time in proportion to
 * its length, whichever threads take part. The oldest copies are dropped when there are too many.
 */
import { type Arena, BLOCK_BYTES, BLOCK_WORDS, LENGTH } from '../../shared/server/arena.js';
import type { Chains } from '../../shared/server/chain.js';

/** What one thread has of them at most. */
const MOST_BYTES = 32 << 20;
const FIRST_BYTES = 16_384;

interface Assembly {
  readonly epoch: number;
  bytes: Buffer;
  length: number;
  /** Where the next byte is: a block, and how much of it is here. */
  block: number;
  used: number;
}

export class Assemblies {
  readonly #arena: Arena;
  readonly #chains: Chains;
  /** By slot, the one that was used last at the end. */
  readonly #bySlot = new Map<number, Assembly>();
  #bytes = 0;

  constructor(arena: Arena, chains: Chains) {
    this.#arena = arena;
    this.#chains = chains;
  }

  /** All of the chain at `at`, in one piece. @param epoch of the message that it is the beginning of */
  whole(slot: number, epoch: number, at: number): Buffer {
    const assembly = this.#find(slot, epoch, at);
    const length = this.#chains.bytesOf(at);
    if (assembly.bytes.length < length) this.#grow(assembly, length);
    const { meta, bytes } = this.#arena;
    while (assembly.length < length) {
      const here = meta[assembly.block * BLOCK_WORDS + LENGTH] ?? 0;
      if (assembly.used === here) {
        assembly.block = this.#arena.nextOf(assembly.block);
        assembly.used = 0;
        continue;
      }
      const from = assembly.block * BLOCK_BYTES;
      assembly.bytes.set(bytes.subarray(from + assembly.used, from + here), assembly.length);
      assembly.length += here - assembly.used;
      assembly.used = here;
    }
    this.#evict(slot);
    return assembly.bytes.subarray(0, length);
  }

  #find(slot: number, epoch: number, at: number): Assembly {
    const found = this.#bySlot.get(slot);
    if (found !== undefined && found.epoch === epoch) {
      this.#bySlot.delete(slot);
      this.#bySlot.set(slot, found);
      return found;
    }
    this.drop(slot);
    const fresh = { epoch, bytes: Buffer.alloc(0), length: 0, block: this.#chains.headOf(at), used: 0 };
    this.#bySlot.set(slot, fresh);
    return fresh;
  }

  #grow(assembly: Assembly, length: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * length));
    assembly.bytes.copy(grown, 0, 0, assembly.length);
    this.#bytes += grown.length - assembly.bytes.length;
    assembly.bytes = grown;
  }

  #evict(except: number): void {
    for (const slot of this.#bySlot.keys()) {
      if (this.#bytes <= MOST_BYTES) return;
      if (slot !== except) this.drop(slot);
    }
  }

  /** The message is whole, or gone; its bytes may be in use on. */
  drop(slot: number): void {
    const found = this.#bySlot.get(slot);
    if (found === undefined) return;
    this.#bytes -= found.bytes.length;
    this.#bySlot.delete(slot);
  }
}
