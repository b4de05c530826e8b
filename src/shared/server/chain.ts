/**
 * Bytes of one connection, kept in the arena: a chain of blocks. Its four words stand among the connection's, and only who holds
 * the connection's lock touches it. Each block holds LENGTH bytes from its begin; of the first, OFFSET are gone already.
 */
import { type Arena, BLOCK_BYTES, BLOCK_WORDS, ITEM_BYTES, LENGTH, NEXT } from './arena.js';

/** A chain's words: its first and last block + 1 (0: none), what of the first is gone, and how many bytes there are. */
const HEAD = 0;
const TAIL = 1;
const OFFSET = 2;
export const BYTES = 3;

/** Chains at `at` in `words`; `tag` is the connection's. */
export class Chains {
  readonly #arena: Arena;
  readonly #words: Int32Array;

  constructor(arena: Arena, words: Int32Array) {
    this.#arena = arena;
    this.#words = words;
  }

  bytesOf(at: number): number {
    return this.#words[at + BYTES] ?? 0;
  }

  /** Its last block, and how many bytes that has: where the next byte will be. */
  tailOf(at: number): number {
    return (this.#words[at + TAIL] ?? 0) - 1;
  }

  headOf(at: number): number {
    return (this.#words[at + HEAD] ?? 0) - 1;
  }

  offsetOf(at: number): number {
    return this.#words[at + OFFSET] ?? 0;
  }

  /** Copies `source` from `from` to `to` behind it. False: no memory, and the chain has a part of it. */
  append(at: number, tag: number, source: Uint8Array, from: number, to: number): boolean {
    const { meta, bytes } = this.#arena;
    const words = this.#words;
    let block = (words[at + TAIL] ?? 0) - 1;
    let position = from;
    while (position < to) {
      let used = block < 0 ? BLOCK_BYTES : (meta[block * BLOCK_WORDS + LENGTH] ?? 0);
      if (used === BLOCK_BYTES) {
        const fresh = this.#arena.take(tag);
        if (fresh < 0) return false;
        if (block < 0) words[at + HEAD] = fresh + 1;
        else meta[block * BLOCK_WORDS + NEXT] = fresh + 1;
        words[at + TAIL] = fresh + 1;
        block = fresh;
        used = 0;
      }
      const take = Math.min(to - position, BLOCK_BYTES - used);
      bytes.set(source.subarray(position, position + take), block * BLOCK_BYTES + used);
      meta[block * BLOCK_WORDS + LENGTH] = used + take;
      words[at + BYTES] = (words[at + BYTES] ?? 0) + take;
      position += take;
    }
    return true;
  }

  /** The same, before it. False: no memory, and the chain is as it was. */
  prepend(at: number, tag: number, source: Uint8Array, from: number, to: number): boolean {
    const words = this.#words;
    if (words[at + HEAD] === 0) return this.append(at, tag, source, from, to) || this.#undo(at);
    const { meta, bytes } = this.#arena;
    let first = 0;
    let last = -1;
    for (let position = from; position < to; ) {
      const fresh = this.#arena.take(tag);
      if (fresh < 0) {
        this.#freeFrom(first - 1);
        return false;
      }
      const take = Math.min(to - position, BLOCK_BYTES);
      bytes.set(source.subarray(position, position + take), fresh * BLOCK_BYTES);
      meta[fresh * BLOCK_WORDS + LENGTH] = take;
      if (last < 0) first = fresh + 1;
      else meta[last * BLOCK_WORDS + NEXT] = fresh + 1;
      last = fresh;
      position += take;
    }
    if (last < 0) return true;
    this.#trim(at);
    meta[last * BLOCK_WORDS + NEXT] = words[at + HEAD] ?? 0;
    words[at + HEAD] = first;
    words[at + BYTES] = (words[at + BYTES] ?? 0) + to - from;
    return true;
  }

  #undo(at: number): false {
    this.clear(at);
    return false;
  }

  /** What of the first block is gone already is so in truth: the block may become the second. */
  #trim(at: number): void {
    const words = this.#words;
    const offset = words[at + OFFSET] ?? 0;
    if (offset === 0) return;
    const { meta, bytes } = this.#arena;
    const head = (words[at + HEAD] ?? 0) - 1;
    const used = meta[head * BLOCK_WORDS + LENGTH] ?? 0;
    bytes.copyWithin(head * BLOCK_BYTES, head * BLOCK_BYTES + offset, head * BLOCK_BYTES + used);
    meta[head * BLOCK_WORDS + LENGTH] = used - offset;
    words[at + OFFSET] = 0;
  }

  /** Copies an item's bytes behind it, if its last block has room for all of them: many small ones would take a block each. Whether it has. */
  absorb(at: number, item: number): boolean {
    const { meta, bytes } = this.#arena;
    const words = this.#words;
    const tail = this.tailOf(at);
    const length = meta[item * BLOCK_WORDS + ITEM_BYTES] ?? 0;
    const used = tail < 0 ? BLOCK_BYTES : (meta[tail * BLOCK_WORDS + LENGTH] ?? 0);
    if (length > BLOCK_BYTES - used) return false;
    const from = item * BLOCK_BYTES;
    bytes.copyWithin(tail * BLOCK_BYTES + used, from, from + length);
    meta[tail * BLOCK_WORDS + LENGTH] = used + length;
    words[at + BYTES] = (words[at + BYTES] ?? 0) + length;
    return true;
  }

  /** An item's blocks, behind it, tagged already. */
  splice(at: number, block: number): void {
    const { meta } = this.#arena;
    const words = this.#words;
    const tail = (words[at + TAIL] ?? 0) - 1;
    if (tail < 0) words[at + HEAD] = block + 1;
    else meta[tail * BLOCK_WORDS + NEXT] = block + 1;
    let last = block;
    for (let next = this.#arena.nextOf(last); next >= 0; next = this.#arena.nextOf(last)) last = next;
    words[at + TAIL] = last + 1;
    words[at + BYTES] = (words[at + BYTES] ?? 0) + (meta[block * BLOCK_WORDS + ITEM_BYTES] ?? 0);
  }

  /** Copies at most `room` of its first bytes to `target` at `to`; they stay. How many. */
  peek(at: number, target: Uint8Array, to: number, room: number): number {
    const { meta, bytes } = this.#arena;
    let block = this.headOf(at);
    let offset = this.offsetOf(at);
    let copied = 0;
    while (block >= 0 && copied < room) {
      const used = meta[block * BLOCK_WORDS + LENGTH] ?? 0;
      const take = Math.min(used - offset, room - copied);
      const from = block * BLOCK_BYTES + offset;
      target.set(bytes.subarray(from, from + take), to + copied);
      copied += take;
      offset = 0;
      block = this.#arena.nextOf(block);
    }
    return copied;
  }

  /** Drops its first `count` bytes. */
  drop(at: number, count: number): void {
    const { meta } = this.#arena;
    const words = this.#words;
    let left = count;
    let block = this.headOf(at);
    let offset = this.offsetOf(at);
    while (block >= 0) {
      const rest = (meta[block * BLOCK_WORDS + LENGTH] ?? 0) - offset;
      if (left < rest) break;
      left -= rest;
      offset = 0;
      const next = this.#arena.nextOf(block);
      this.#arena.free(block);
      block = next;
    }
    words[at + HEAD] = block + 1;
    if (block < 0) words[at + TAIL] = 0;
    words[at + OFFSET] = offset + left;
    words[at + BYTES] = (words[at + BYTES] ?? 0) - count;
  }

  /** Drops all of it. */
  clear(at: number): void {
    const words = this.#words;
    if (words[at + HEAD] === 0) return;
    this.#freeFrom(this.headOf(at));
    words.fill(0, at, at + 4);
  }

  #freeFrom(first: number): void {
    for (let block = first; block >= 0; ) {
      const next = this.#arena.nextOf(block);
      this.#arena.free(block);
      block = next;
    }
  }
}
