/**
 * A connection's mailbox: what others have for it while somebody has its lock. A list that anybody pushes to, in one exchange for a
 * whole item, and of which the holder of the lock takes all at once: no item is torn, each sender's come in the order sent.
 *
 * An item is a chain of blocks. It carries the generation that it is for: one that was pushed too late, when its connection had
 * just ended, is dropped by whoever has the slot next. ITEM_SUM is what the mailbox holds up to this item, in bytes.
 */
import {
  type Arena,
  BLOCK_BYTES,
  BLOCK_WORDS,
  ITEM_BYTES,
  ITEM_GENERATION,
  ITEM_NEXT,
  ITEM_SUM,
  KIND,
  LENGTH,
  MAILED,
  NEXT,
} from './arena.js';
import { INTENT, INTENT_SLOT, MAIL } from './layout.js';

/** Bytes to send. */
export const DATA = 1;
/** Bytes to send, and then our end of stream. */
export const LAST = 2;

/** Fills an item's blocks, which are the sender's. -1: no memory. @param tag the sender's */
export function write(arena: Arena, tag: number, kind: number, generation: number, bytes: Uint8Array): number {
  const { meta } = arena;
  const first = arena.take(tag);
  if (first < 0) return -1;
  const at = first * BLOCK_WORDS;
  meta[at + KIND] = kind;
  meta[at + ITEM_GENERATION] = generation;
  meta[at + ITEM_BYTES] = bytes.length;
  let block = first;
  for (let position = 0; ; ) {
    const length = Math.min(BLOCK_BYTES, bytes.length - position);
    const part = length === bytes.length ? bytes : bytes.subarray(position, position + length);
    arena.bytes.set(part, block * BLOCK_BYTES);
    meta[block * BLOCK_WORDS + LENGTH] = length;
    position += length;
    if (position === bytes.length) return first;
    const next = arena.take(tag);
    if (next < 0) {
      drop(arena, first);
      return -1;
    }
    meta[block * BLOCK_WORDS + NEXT] = next + 1;
    block = next;
  }
}

/**
 * Pushes an item.
 *
 * @param intents the sender's words: they name the item from before it is tagged as the mailbox's until it is in there
 */
export function push(
  arena: Arena,
  words: Int32Array,
  base: number,
  slot: number,
  item: number,
  intents: Int32Array,
): void {
  const { meta } = arena;
  Atomics.store(intents, INTENT_SLOT, slot);
  Atomics.store(intents, INTENT, item + 1);
  for (let block = item; block >= 0; block = arena.nextOf(block)) arena.pass(block, MAILED | slot);
  const at = item * BLOCK_WORDS;
  for (;;) {
    const newest = Atomics.load(words, base + MAIL);
    meta[at + ITEM_NEXT] = newest;
    meta[at + ITEM_SUM] = sum(meta, newest) + (meta[at + ITEM_BYTES] ?? 0);
    if (Atomics.compareExchange(words, base + MAIL, newest, item + 1) === newest) break;
  }
  Atomics.store(intents, INTENT, 0);
}

function sum(meta: Int32Array, newest: number): number {
  return newest === 0 ? 0 : (meta[(newest - 1) * BLOCK_WORDS + ITEM_SUM] ?? 0);
}

/** About how many bytes wait in it. */
export function bytesIn(arena: Arena, words: Int32Array, base: number): number {
  return Math.max(0, sum(arena.meta, Atomics.load(words, base + MAIL)));
}

/** Takes all that is in it: the oldest item; -1: none. Only for the holder of the lock. */
export function takeAll(arena: Arena, words: Int32Array, base: number): number {
  const { meta } = arena;
  if (Atomics.load(words, base + MAIL) === 0) return -1;
  let newest = Atomics.exchange(words, base + MAIL, 0);
  let oldest = 0;
  while (newest !== 0) {
    const at = (newest - 1) * BLOCK_WORDS + ITEM_NEXT;
    const older = meta[at] ?? 0;
    meta[at] = oldest;
    oldest = newest;
    newest = older;
  }
  return oldest - 1;
}

/** The item after it, of those that were taken; -1: none. */
export function after(arena: Arena, item: number): number {
  return (arena.meta[item * BLOCK_WORDS + ITEM_NEXT] ?? 0) - 1;
}

/** Its blocks are the connection's from now on. */
export function accept(arena: Arena, item: number, tag: number): void {
  for (let block = item; block >= 0; block = arena.nextOf(block)) arena.pass(block, tag);
}

export function drop(arena: Arena, item: number): void {
  for (let block = item; block >= 0; ) {
    const next = arena.nextOf(block);
    arena.free(block);
    block = next;
  }
}
