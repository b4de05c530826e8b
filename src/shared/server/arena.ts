/**
 * The memory for all that a server keeps for its connections: blocks of 1 KiB in one shared buffer, of which pages are committed as
 * they are first used.
 *
 * The first word of a block, its tag, says all about it: 0 for free, or whose it is. To take a block is to exchange its tag from 0,
 * to free it is to store 0: there is no list whose links could be torn or mistaken (no ABA), and no moment at which a block is
 * neither free nor somebody's. So whatever a thread that died had is found by its tags (see recovery in main/server):
 *   a connection's     slot + 1            in one of its chains, or about to be; the holder of its lock may touch it
 *   a sender's         SENDER | thread     being filled for a mailbox
 *   a mailbox's        MAILED | slot       in the slot's mailbox; about to be pushed (the sender's INTENT says so before the tag
 *                                          does); or taken out and not yet tagged anew by the holder of the slot's lock
 *
 * Blocks that a thread has freed it takes again first; then it tries a few from where it last found one, below the highest block
 * ever used; only then is a fresh one touched. A full arena is known by a look at every tag.
 */

export const BLOCK_BYTES = 1024;

export const SENDER = 0x2000_0000;
export const MAILED = 0x4000_0000;

/** The words beside a block. */
export const BLOCK_WORDS = 8;
export const TAG = 0;
/** The next block of its chain, or of its item, + 1; 0: none. */
export const NEXT = 1;
/** Bytes in it, from its begin. */
export const LENGTH = 2;
// Of an item's first block (see mailbox.ts):
export const KIND = 3;
export const ITEM_GENERATION = 4;
export const ITEM_NEXT = 5;
export const ITEM_SUM = 6;
export const ITEM_BYTES = 7;

const HEADER_WORDS = 16;
/** One more than the highest block ever used (it may run past the number of blocks). */
const HIGH = 0;
const PROBES = 32;
const MOST_HINTS = 1024;

export interface ArenaPlan {
  readonly bytes: SharedArrayBuffer;
  readonly meta: SharedArrayBuffer;
  readonly blocks: number;
}

/** @param memory bytes; at least one block's */
export function createArena(memory: number): ArenaPlan {
  const blocks = Math.floor(memory / BLOCK_BYTES);
  return {
    bytes: new SharedArrayBuffer(blocks * BLOCK_BYTES),
    meta: new SharedArrayBuffer((HEADER_WORDS + blocks * BLOCK_WORDS) * 4),
    blocks,
  };
}

/** One thread's access to the arena. */
export class Arena {
  readonly blocks: number;
  /** Block `i` begins at `i * BLOCK_BYTES`. */
  readonly bytes: Uint8Array;
  /** Its words begin at `i * BLOCK_WORDS`. */
  readonly meta: Int32Array;
  readonly #header: Int32Array;
  readonly #hints = new Int32Array(MOST_HINTS);
  #hinted = 0;
  #cursor = 0;

  constructor({ bytes, meta, blocks }: ArenaPlan) {
    this.blocks = blocks;
    this.bytes = new Uint8Array(bytes);
    this.#header = new Int32Array(meta, 0, HEADER_WORDS);
    this.meta = new Int32Array(meta, HEADER_WORDS * 4);
  }

  /** A block, empty and linked to nothing. -1: all are in use. */
  take(tag: number): number {
    const block = this.#find(tag);
    if (block >= 0) {
      this.meta[block * BLOCK_WORDS + NEXT] = 0;
      this.meta[block * BLOCK_WORDS + LENGTH] = 0;
    }
    return block;
  }

  #find(tag: number): number {
    while (this.#hinted > 0) {
      const block = this.#hints[--this.#hinted] ?? 0;
      if (this.#claim(block, tag)) return block;
    }
    for (;;) {
      const high = this.high;
      for (let i = Math.min(PROBES, high); i > 0; i--) {
        if (++this.#cursor >= high) this.#cursor = 0;
        if (this.#claim(this.#cursor, tag)) return this.#cursor;
      }
      if (high === this.blocks) return this.#search(tag);
      const fresh = Atomics.add(this.#header, HIGH, 1);
      // Another's probe may have had it already.
      if (fresh < this.blocks && this.#claim(fresh, tag)) return fresh;
    }
  }

  #search(tag: number): number {
    for (let block = 0; block < this.blocks; block++) if (this.#claim(block, tag)) return block;
    return -1;
  }

  #claim(block: number, tag: number): boolean {
    const at = block * BLOCK_WORDS + TAG;
    return this.meta[at] === 0 && Atomics.compareExchange(this.meta, at, 0, tag) === 0;
  }

  free(block: number): void {
    Atomics.store(this.meta, block * BLOCK_WORDS + TAG, 0);
    if (this.#hinted < MOST_HINTS) this.#hints[this.#hinted++] = block;
  }

  /** It is somebody else's from now on. */
  pass(block: number, tag: number): void {
    Atomics.store(this.meta, block * BLOCK_WORDS + TAG, tag);
  }

  tagOf(block: number): number {
    return Atomics.load(this.meta, block * BLOCK_WORDS + TAG);
  }

  /** The block after it; -1: none. */
  nextOf(block: number): number {
    return (this.meta[block * BLOCK_WORDS + NEXT] ?? 0) - 1;
  }

  /** One more than the highest block ever used. */
  get high(): number {
    return Math.min(this.blocks, Atomics.load(this.#header, HIGH));
  }

  /** How many are in use, by a look at each. */
  get used(): number {
    let used = 0;
    for (let block = this.high - 1; block >= 0; block--) if (this.meta[block * BLOCK_WORDS + TAG] !== 0) used++;
    return used;
  }
}
