/**
 * The lock word of a connection: who may touch its socket, its chains and its other words.
 *
 *   31        13 12 11  10   9    8    7      0
 *   generation   cause  SHUT RUN  MAIL owner
 *
 * A run takes the lock for as long as it lasts, handler included; whoever sends to the connection from elsewhere (another
 * connection's handler, a later part of an async one) takes it for the time of a write. Nobody ever waits for it, but who asks what
 * TLS has agreed on (takeSoon):
 * - a sender that finds it held puts what it has into the mailbox, then tries again, and sets MAIL if it still is held: the holder
 *   looks into the mailbox before it lets go, for as often as MAIL is set;
 * - a run that finds it held leaves its readiness in EVENTS and sets RUN: the holder has the connection run once more when it has
 *   let go.
 * Either way what was left is in the memory before the bit is in the very word that the holder must exchange to let go.
 *
 * SHUT is set once it takes no more output; `cause` is why somebody without the lock wants it ended at once. The low bits of the generation make an exchange fail that was prepared for an earlier
 * connection of the slot; the whole generation is compared after the word was read.
 */
import { now } from '../clock.js';
import { GENERATION, LOCK } from './layout.js';

const OWNER = 0xff;
export const MAIL = 0x100;
export const RUN = 0x200;
const SHUT = 0x400;
const CAUSE = 0x1800;
const CAUSE_SHIFT = 11;
const GENERATION_SHIFT = 13;

/** Between two looks whether its holder has let go, in milliseconds. */
const LOOK_MS = 1;

/** Causes. */
export const DESTROYED = 1;
export const TOO_SLOW = 2;
export const NO_MEMORY = 3;

/** What taking it came to. */
export const TAKEN = 1;
/** Held by another; the note was left. */
export const HELD = 2;
/** Another connection's slot by now, or one that takes no more output. */
export const GONE = 3;

/** What letting go came to. */
export const FREE = 4;
/** Let go; a run was refused meanwhile. */
export const RERUN = 5;
/** Still held: the mailbox is to be looked into. */
export const LOOK = 6;

/** The word of a new connection. @param open whether it takes output from the start */
export function freshWord(generation: number, open: boolean): number {
  return (generation << GENERATION_SHIFT) | (open ? 0 : SHUT);
}

export function ownerOf(word: number): number {
  return word & OWNER;
}

/**
 * Takes the lock at once or not at all. TAKEN, HELD or GONE.
 *
 * @param base where the connection's words begin
 * @param note MAIL, RUN or 0: what is left with the holder
 * @param shutToo whether one that takes no more output is to be locked
 */
export function take(
  words: Int32Array,
  base: number,
  generation: number,
  owner: number,
  note: number,
  shutToo: boolean,
): number {
  let word = Atomics.load(words, base + LOCK);
  for (;;) {
    if (!isOf(words, base, word, generation) || (!shutToo && (word & SHUT) !== 0)) return GONE;
    const held = (word & OWNER) !== 0;
    const next = held ? word | note : word | owner;
    if (next === word) return HELD;
    const seen = Atomics.compareExchange(words, base + LOCK, word, next);
    if (seen === word) return held ? HELD : TAKEN;
    word = seen;
  }
}

/** Takes it when its holder has let go, or not at all after `ms` milliseconds. For what is asked once in a connection's life. */
export function takeSoon(words: Int32Array, base: number, generation: number, owner: number, ms: number): number {
  const since = now();
  for (;;) {
    const word = Atomics.load(words, base + LOCK);
    const verdict = take(words, base, generation, owner, 0, true);
    if (verdict !== HELD || now() - since >= ms) return verdict;
    // Nobody notifies: it ends when the word is another by now, or after the time.
    Atomics.wait(words, base + LOCK, word, LOOK_MS);
  }
}

/** The holder lets go. FREE, RERUN or LOOK. */
export function letGo(words: Int32Array, base: number): number {
  let word = Atomics.load(words, base + LOCK);
  for (;;) {
    const look = (word & MAIL) !== 0;
    const next = look ? word & ~MAIL : word & ~(OWNER | RUN);
    const seen = Atomics.compareExchange(words, base + LOCK, word, next);
    if (seen === word) return look ? LOOK : word & RUN ? RERUN : FREE;
    word = seen;
  }
}

/** It takes no more output. Only for the holder. */
export function shut(words: Int32Array, base: number): void {
  Atomics.or(words, base + LOCK, SHUT);
}

/** The same, for anybody: its end is in the mailbox. */
export function seal(words: Int32Array, base: number, generation: number): void {
  let word = Atomics.load(words, base + LOCK);
  while (isOf(words, base, word, generation) && (word & SHUT) === 0) {
    const seen = Atomics.compareExchange(words, base + LOCK, word, word | SHUT);
    if (seen === word) return;
    word = seen;
  }
}

/** It takes output from now on. Only for the holder. */
export function open(words: Int32Array, base: number): void {
  Atomics.and(words, base + LOCK, ~SHUT);
}

/** It is to end at once, for the first cause that anybody has. For anybody; a run is to follow. Whether it is this connection's slot. */
export function doom(words: Int32Array, base: number, generation: number, cause: number): boolean {
  let word = Atomics.load(words, base + LOCK);
  while (isOf(words, base, word, generation)) {
    const next = (word & CAUSE) !== 0 ? word : word | SHUT | (cause << CAUSE_SHIFT);
    const seen = Atomics.compareExchange(words, base + LOCK, word, next);
    if (seen === word) return true;
    word = seen;
  }
  return false;
}

/** The cause, for the holder; 0: there is none. */
export function causeOf(words: Int32Array, base: number): number {
  return (Atomics.load(words, base + LOCK) & CAUSE) >>> CAUSE_SHIFT;
}

/** Whether it takes output. */
export function isOpen(words: Int32Array, base: number, generation: number): boolean {
  const word = Atomics.load(words, base + LOCK);
  return isOf(words, base, word, generation) && (word & SHUT) === 0;
}

/** The main thread takes it over from a dead thread; it takes no more output then. Whether it was theirs. */
export function seize(words: Int32Array, base: number, from: number, to: number): boolean {
  let word = Atomics.load(words, base + LOCK);
  while (ownerOf(word) === from) {
    const seen = Atomics.compareExchange(words, base + LOCK, word, (word & ~(OWNER | MAIL | RUN)) | SHUT | to);
    if (seen === word) return true;
    word = seen;
  }
  return false;
}

function isOf(words: Int32Array, base: number, word: number, generation: number): boolean {
  const low = (generation << GENERATION_SHIFT) >>> GENERATION_SHIFT;
  // A slot that nobody has, has the generation 0.
  return generation !== 0 && word >>> GENERATION_SHIFT === low && Atomics.load(words, base + GENERATION) === generation;
}
