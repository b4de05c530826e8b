/**
 * The claim word: one int32 for each slot that says which thread holds the registration, and what came meanwhile.
 *
 *   31        22 21    14 13           0
 *   generation  | owner  | pending mask, with REST and CLOSING in bits that epoll leaves free
 *
 * Every change is one compare-and-exchange of a word computed by a pure function below, so a word is always one of
 *   idle     no owner, nothing pending           waiting for the kernel's next event
 *   held     an owner, perhaps events pending    its handler runs, or is about to look again
 *   REST     with or without an owner            runs no more until modify() clears it; events are dropped, because
 *                                                modify() has the kernel look at the fd again
 *   CLOSING  an owner                            unregistered while held; the owner's release ends it
 * and the transitions are claim (any thread), release and resume (the owner), rest (the owner, the registry), wake and
 * close (the registry), seize (the registry for a dead owner, a peer for a stuck one).
 *
 * No two owners: only `claim` sets one where there was none, by exchanging a word that had none. No lost event: whoever
 * meets an owner leaves its mask in the very word that the owner must exchange to let go. No stranger's event: the word
 * that a thread read has the generation in it, and the full generation was compared after that read; a slot that was
 * recycled in between fails the exchange. (Ten bits, and slots are reused in turn: see SLACK in layout.ts.)
 */
import { READINESS } from '../epoll/flags.js';

/** Owner 0 is nobody; threads are 1 to 254. */
export const NOBODY = 0;
/** The owner of what is with the main thread. */
export const MAIN = 255;
/** How many bits of the generation the word holds. */
export const GENERATION_BITS = 10;

const CLOSING = 0x800;
const REST = 0x1000;
const OWNER_SHIFT = 14;
const OWNER = 0xff << OWNER_SHIFT;
const GENERATION_SHIFT = 22;
const GENERATION_MASK = (1 << GENERATION_BITS) - 1;

/** What a transition came to; AGAIN and the like say who holds the slot after it. */
export const CLAIMED = 1;
/** Somebody else holds it; the mask is pending with them. */
export const CONTENDED = 2;
/** The registration is gone, or going. */
export const STALE = 3;
/** It rests; the event is dropped. */
export const RESTING = 4;
/** Let go; the next event claims it. */
export const IDLE = 5;
/** Let go; it rests. */
export const RESTED = 6;
/** Let go; it was being unregistered, and the registry is to be told. */
export const CLOSED = 7;
/** Still held: events had come. */
export const AGAIN = 8;
/** The slot is free, under its next generation. */
export const FREED = 9;

/** The word of a slot that nobody holds. */
export function idleWord(generation: number): number {
  return (generation & GENERATION_MASK) << GENERATION_SHIFT;
}

export function ownerOf(word: number): number {
  return (word & OWNER) >>> OWNER_SHIFT;
}

export function isClosing(word: number): boolean {
  return (word & CLOSING) !== 0;
}

export function isResting(word: number): boolean {
  return (word & REST) !== 0;
}

export function pendingOf(word: number): number {
  return word & READINESS;
}

/** Whether the word belongs to (the low bits of) that generation. */
export function isGeneration(word: number, generation: number): boolean {
  return word >>> GENERATION_SHIFT === (generation & GENERATION_MASK);
}

// ---- the transitions: a word, and the word after ------------------------------------------------------

/** Neither stale nor resting nor held: the word with `owner`; it rests from now on if `oneshot`. */
export function claimed(word: number, owner: number, oneshot: boolean): number {
  return word | (owner << OWNER_SHIFT) | (oneshot ? REST : 0);
}

/** Held by somebody else: the word with `mask` pending. */
export function contended(word: number, mask: number): number {
  return word | (mask & READINESS);
}

/** Let go: REST and CLOSING stay, nothing is pending. */
export function released(word: number): number {
  return word & ~(OWNER | READINESS);
}

/** Held on, with what was pending taken; a oneshot that was armed again during its run is spent again. */
export function resumed(word: number, oneshot: boolean): number {
  return (word & ~READINESS) | (oneshot ? REST : 0);
}

/** Resting, with nothing pending. */
export function rested(word: number): number {
  return (word & ~READINESS) | REST;
}

/** Not resting. */
export function awake(word: number): number {
  return word & ~REST;
}

/** Unregistered while somebody holds it. */
export function closing(word: number): number {
  return word | CLOSING;
}

/** In another's hands. */
export function seized(word: number, owner: number): number {
  return (word & ~OWNER) | (owner << OWNER_SHIFT);
}

// ---- the same, on shared memory ---------------------------------------------------------------------

/** Takes the slot for `owner`, or leaves `mask` with whoever holds it. CLAIMED, CONTENDED, STALE or RESTING. */
export function claim(
  words: Int32Array,
  at: number,
  generationAt: number,
  generation: number,
  owner: number,
  mask: number,
  oneshot: boolean,
): number {
  let word = Atomics.load(words, at);
  for (;;) {
    // In this order: the word first, so that a recycling after the comparison fails the exchange.
    if (Atomics.load(words, generationAt) !== generation || !isGeneration(word, generation)) return STALE;
    if (word & CLOSING) return STALE;
    if (word & REST) return RESTING;
    const held = (word & OWNER) !== 0;
    const next = held ? contended(word, mask) : claimed(word, owner, oneshot);
    // Already pending: its owner has yet to take it, and will run after this event came.
    if (next === word) return CONTENDED;
    const seen = Atomics.compareExchange(words, at, word, next);
    if (seen === word) return held ? CONTENDED : CLAIMED;
    word = seen;
  }
}

/** The owner lets go. IDLE, RESTED, CLOSED; or AGAIN, and it still holds the slot: `resume` takes what is pending. */
export function release(words: Int32Array, at: number): number {
  let word = Atomics.load(words, at);
  for (;;) {
    if ((word & (CLOSING | REST)) === 0 && (word & READINESS) !== 0) return AGAIN;
    const seen = Atomics.compareExchange(words, at, word, released(word));
    if (seen === word) return word & CLOSING ? CLOSED : word & REST ? RESTED : IDLE;
    word = seen;
  }
}

/** The owner lets go whatever is pending, because the kernel will be made to look again. IDLE, RESTED or CLOSED. */
export function drop(words: Int32Array, at: number): number {
  let word = Atomics.load(words, at);
  for (;;) {
    const seen = Atomics.compareExchange(words, at, word, released(word));
    if (seen === word) return word & CLOSING ? CLOSED : word & REST ? RESTED : IDLE;
    word = seen;
  }
}

/** The owner takes what is pending, to run again: the mask; -1 if it is to rest or to close instead. */
export function resume(words: Int32Array, at: number, oneshot: boolean): number {
  let word = Atomics.load(words, at);
  for (;;) {
    if (word & (CLOSING | REST)) return -1;
    const seen = Atomics.compareExchange(words, at, word, resumed(word, oneshot));
    if (seen === word) return word & READINESS;
    word = seen;
  }
}

/** Runs no more until `wake`. Only for a slot of this generation. */
export function rest(words: Int32Array, at: number, generation: number): void {
  exchange(words, at, generation, rested);
}

/** What modify() does before it has the kernel look again. */
export function wake(words: Int32Array, at: number, generation: number): void {
  exchange(words, at, generation, awake);
}

/**
 * Ends the registration. FREED, under the generation that the caller then stores; or CLOSING's wait for the owner's
 * release: CONTENDED. What the main thread itself holds ends at once.
 */
export function close(words: Int32Array, at: number, next: number): number {
  let word = Atomics.load(words, at);
  for (;;) {
    const owner = ownerOf(word);
    const free = owner === NOBODY || owner === MAIN;
    const seen = Atomics.compareExchange(words, at, word, free ? idleWord(next) : closing(word));
    if (seen === word) return free ? FREED : CONTENDED;
    word = seen;
  }
}

/** Takes the slot over from `from`, whose thread is dead or stuck elsewhere. Whether it was theirs. */
export function seize(words: Int32Array, at: number, generation: number, from: number, to: number): boolean {
  let word = Atomics.load(words, at);
  for (;;) {
    if (!isGeneration(word, generation) || ownerOf(word) !== from) return false;
    const seen = Atomics.compareExchange(words, at, word, seized(word, to));
    if (seen === word) return true;
    word = seen;
  }
}

function exchange(words: Int32Array, at: number, generation: number, change: (word: number) => number): void {
  let word = Atomics.load(words, at);
  while (isGeneration(word, generation)) {
    const seen = Atomics.compareExchange(words, at, word, change(word));
    if (seen === word) return;
    word = seen;
  }
}
