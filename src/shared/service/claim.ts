/**
 * The claim word: one int32 for each slot that says who holds the registration, and what is due.
 *
 *   31     24 23    16 15                    0
 *   stamp    | owner  | what is due, and flags
 *
 * Due are: the mask of events that came (the epoll bits themselves), LOOK (a level registration may
 * still be ready: poll(2) says; what came of another mode is old), WAKE (one run more, ready or not). The flags, in bits that epoll leaves free:
 *   REST     runs no more until modify(); what comes is dropped, because modify() has the kernel look anew
 *   ASKED    its handler has asked for modify, unregister or close, and that is not carried out yet; it rests until then
 *   CLOSING  unregistered while somebody holds it; the owner's release ends it
 *
 * Every change is one compare-and-exchange of a word computed by a pure function below. A word is one of
 *   idle     no owner, nothing due                 waits for the kernel's next event
 *   due      no owner, something due               ANYBODY may take it, whoever it was that left it: the run queue and the
 *                                                  threads' lists only say where to look
 *   held     an owner, perhaps more due            its handler runs; what comes meanwhile is due at the release
 *   resting  REST (and ASKED), with or without an owner
 * (test/model has every interleaving of them) and the transitions are arrive, leave, take and wake (anybody), release, rest and ask (the owner), renew, settle and close
 * (the registry), abandon (the registry, for an owner that is dead).
 *
 * No two owners: only `arrive` and `take` set one, by exchanging a word that had none. No lost event: whoever meets an owner
 * leaves the mask in the very word that the owner must exchange to let go. No stranger's event: the kernel carries a stamp
 * with each event, which changes with every registration and every modify(); the word has the low bits of it, and the full
 * stamp is compared after the word was read, so that a slot that was recycled in between fails the exchange. An event from
 * before a modify() is dropped, and may be: modify() has the kernel look after it has changed the stamp. (Eight bits, and slots
 * are reused in turn: see SLACK in layout.ts.)
 */
import { EPOLLET, EPOLLONESHOT, READINESS } from '../epoll/flags.js';
import { mustHold } from './assert.js';
import { CLAIM, INTEREST, STAMP } from './layout.js';

/** Owner 0 is nobody; threads are 1 to 254. */
export const NOBODY = 0;
/** The owner of what is with the main thread. */
export const MAIN = 255;

/** Due: poll(2) is to say whether a level registration is ready; what came of another is old. */
export const LOOK = 0x20;
/** Due: a run, ready or not. */
export const WAKE = 0x4000;
const DUE = READINESS | LOOK | WAKE;
const CLOSING = 0x800;
const REST = 0x1000;
const ASKED = 0x8000;
const OWNER_SHIFT = 16;
const OWNER = 0xff << OWNER_SHIFT;
const STAMP_SHIFT = 24;
const STAMP_MASK = 0xff;

/** What `arrive` and `take` answer when there is nothing to run; otherwise what is due, at least 0. */
export const STALE = -1;
/** Somebody else holds it; what came is due when they let go. */
export const CONTENDED = -2;
/** It rests; what came is dropped. */
export const RESTING = -3;
/** Nothing is due, or somebody else has it. */
export const NOTHING = -4;
/** Nobody held it: it is due now. */
export const LEFT_DUE = -5;
/** It was due already, with the same. */
export const KNOWN = -6;

/** What a release came to: waits for the kernel. */
export const IDLE = 0;
/** Let go, and due: whoever finds it takes it. */
export const STILL_DUE = 1;
/** Let go; the registry is to be told, because it was asked for something or is closing. */
export const TO_TELL = 2;

/** What `close` came to: the slot is free. */
export const FREED = 1;
/** Its owner's release will end it. */
export const HELD = 0;

/** The word of a slot that nobody holds. */
export function idleWord(stamp: number): number {
  return (stamp & STAMP_MASK) << STAMP_SHIFT;
}

/** The word of a slot that has no registration: nothing comes to it, as to one that is closing. */
export function freeWord(stamp: number): number {
  return idleWord(stamp) | CLOSING;
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

export function isAsked(word: number): boolean {
  return (word & ASKED) !== 0;
}

export function dueOf(word: number): number {
  return word & DUE;
}

/** Whether anybody may take it. */
export function isDue(word: number): boolean {
  return (word & (OWNER | REST | CLOSING)) === 0 && (word & DUE) !== 0;
}

/** Whether the word belongs to (the low bits of) that stamp. */
export function hasStamp(word: number, stamp: number): boolean {
  return word >>> STAMP_SHIFT === (stamp & STAMP_MASK);
}

// ---- the transitions: a word, and the word after ------------------------------------------------------

/** Held or not: more is due. */
export function left(word: number, mask: number): number {
  return word | (mask & READINESS);
}

/** Neither resting nor held: in `owner`'s hands, with nothing due; it rests from now on if its run is its only one. */
export function claimed(word: number, owner: number, oneshot: boolean): number {
  mustHold((word & (OWNER | REST | CLOSING)) === 0, 'a word that is claimed is free');
  return (word & ~DUE) | (owner << OWNER_SHIFT) | (oneshot ? REST : 0);
}

/** The same, and what is due stays for the new owner to take when its turn comes. */
export function reserved(word: number, owner: number, mask: number, oneshot: boolean): number {
  return claimed(word, owner, oneshot) | (word & DUE) | (mask & READINESS);
}

/** Nothing due: its owner has it in hand. @param oneshot it rests from now on, though it did not when it was reserved */
export function taken(word: number, oneshot = false): number {
  return oneshot ? (word & ~DUE) | REST : word & ~DUE;
}

/** Nothing due but what comes from now on, and one look. */
export function looking(word: number, owner: number): number {
  return claimed(word, owner, false) | (word & WAKE) | LOOK;
}

/**
 * Let go. What came in the run stays due, with a LOOK: the run may have dealt with it, and the file may be another by now.
 *
 * @param look a level registration that may be ready, though nothing came
 */
export function released(word: number, look: boolean): number {
  const free = word & ~OWNER;
  // What rests drops what came; but a wake() that follows a request is for after it.
  if (word & ASKED) return free & ~(READINESS | LOOK);
  if (word & (REST | CLOSING)) return free & ~DUE;
  return look || (word & READINESS) !== 0 ? free | LOOK : free;
}

/** Its handler threw: it rests, and is let go once that was told. */
export function rested(word: number): number {
  return (word & ~DUE) | REST;
}

/** Still held, and found ready or not by a look: with `mask` due, whoever takes it. */
export function looked(word: number, mask: number): number {
  const rests = (word & (REST | CLOSING | ASKED)) !== 0;
  return mask === 0 || rests ? released(word & ~LOOK, false) : (word & ~(OWNER | LOOK)) | (mask & READINESS);
}

/** Its handler asks for a request: it rests until that is carried out. */
export function asked(word: number): number {
  return (word & ~(READINESS | LOOK)) | REST | ASKED;
}

/** What its handler asked for is carried out. */
export function settled(word: number, rests: boolean): number {
  return rests ? word & ~(ASKED | WAKE) : word & ~(ASKED | REST);
}

/** Modified: events from before have another stamp, and the kernel is about to look. It rests on if a request is on its way. */
export function renewed(word: number, stamp: number): number {
  const kept = word & (OWNER | WAKE | CLOSING | ASKED);
  return idleWord(stamp) | kept | (word & ASKED ? REST : 0);
}

/**
 * A run is due, unless it rests for good. Not so a oneshot in its run: that may be modified before it ends, and runs again then; if it is
 * not, its release drops this.
 */
export function woken(word: number): number {
  if (word & CLOSING) return word;
  return (word & (OWNER | REST | ASKED)) === REST ? word : word | WAKE;
}

/** Unregistered while somebody holds it. */
export function closing(word: number): number {
  return word | CLOSING;
}

/** Let go for a dead owner that was in its run: it rests. What it had asked for is carried out, or never was asked. */
export function interrupted(word: number): number {
  return rested(word) & ~(OWNER | ASKED);
}

/** Let go by, or for, an owner that has not begun: as it was, with `due` put back. */
export function abandoned(word: number, due: number): number {
  const free = word & ~(OWNER | (word & ASKED ? 0 : REST));
  return word & CLOSING ? free & ~DUE : free | (due & DUE);
}

// ---- the same, on shared memory ---------------------------------------------------------------------

/** Whether the mode is level: runs while it is ready. */
export function isLevel(interest: number): boolean {
  return (interest & (EPOLLET | EPOLLONESHOT)) === 0;
}

/**
 * An event of the kernel's. At least 0: `owner` has the slot now, and this is due (the mask). LEFT_DUE, KNOWN: more was due
 * already, and the word says all of it, for whoever takes it. CONTENDED, RESTING, STALE otherwise.
 *
 * The owner is to look at the stamp again: until it had the slot, that may have been modified so often that the low bits agree.
 *
 * @param keeps the kernel goes on telling while it is ready: nothing is left with an owner
 */
export function arrive(
  words: Int32Array,
  base: number,
  stamp: number,
  owner: number,
  mask: number,
  keeps: boolean,
): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const refused = refusal(words, base, stamp, word);
    if (refused !== 0) return refused;
    if (word & OWNER) {
      const next = keeps ? word : left(word, mask);
      // Already due: its owner has yet to take it, and will run after this event came.
      if (next === word) return CONTENDED;
      const seen = Atomics.compareExchange(words, base + CLAIM, word, next);
      if (seen === word) return CONTENDED;
      word = seen;
    } else if (word & DUE) {
      const next = left(word, mask);
      const seen = next === word ? word : Atomics.compareExchange(words, base + CLAIM, word, next);
      if (seen === word) return next === word ? KNOWN : LEFT_DUE;
      word = seen;
    } else {
      const oneshot = (Atomics.load(words, base + INTEREST) & EPOLLONESHOT) !== 0;
      const seen = Atomics.compareExchange(words, base + CLAIM, word, claimed(word, owner, oneshot));
      if (seen === word) return mask & READINESS;
      word = seen;
    }
  }
}

/** An event of the kernel's that waits for whoever takes it. LEFT_DUE or KNOWN, or as `arrive`. */
export function leave(words: Int32Array, base: number, stamp: number, mask: number, keeps: boolean): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const refused = refusal(words, base, stamp, word);
    if (refused !== 0) return refused;
    const next = keeps && (word & OWNER) !== 0 ? word : left(word, mask);
    const seen = next === word ? word : Atomics.compareExchange(words, base + CLAIM, word, next);
    if (seen === word) return word & OWNER ? CONTENDED : next === word ? KNOWN : LEFT_DUE;
    word = seen;
  }
}

/** An event for the main thread: it holds the slot, and takes what is due when it comes to it. 0, or as `arrive`. */
export function reserve(
  words: Int32Array,
  base: number,
  stamp: number,
  owner: number,
  mask: number,
  keeps: boolean,
): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const refused = refusal(words, base, stamp, word);
    if (refused !== 0) return refused;
    const oneshot = (Atomics.load(words, base + INTEREST) & EPOLLONESHOT) !== 0;
    const next = word & OWNER ? (keeps ? word : left(word, mask)) : reserved(word, owner, mask, oneshot);
    const seen = next === word ? word : Atomics.compareExchange(words, base + CLAIM, word, next);
    if (seen === word) return word & OWNER ? CONTENDED : 0;
    word = seen;
  }
}

/** In this order: the word first, so that a recycling after the comparison fails the exchange. 0: none. */
function refusal(words: Int32Array, base: number, stamp: number, word: number): number {
  if (Atomics.load(words, base + STAMP) !== stamp || !hasStamp(word, stamp)) return STALE;
  if (word & CLOSING) return STALE;
  // With an owner it is left all the same: whoever claimed it by mistake (see `arrive`) is about to give it back.
  const rests = (word & REST) !== 0 && ((word & OWNER) === 0 || (word & ASKED) !== 0);
  return rests ? RESTING : 0;
}

/** Exchanges `word`, if it still is that. Whether it was. */
export function exchange(words: Int32Array, base: number, word: number, next: number): boolean {
  return Atomics.compareExchange(words, base + CLAIM, word, next) === word;
}

/** The owner takes what is due with it, if anything is. @param oneshot that is its only run */
export function takeOwn(words: Int32Array, base: number, oneshot: boolean): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    if ((word & DUE) === 0) return 0;
    const seen = Atomics.compareExchange(words, base + CLAIM, word, taken(word, oneshot));
    if (seen === word) return dueOf(word);
    word = seen;
  }
}

/** The owner lets go. IDLE, STILL_DUE or TO_TELL. @param look as of `released` */
export function release(words: Int32Array, base: number, look: boolean): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    mustHold((word & OWNER) !== 0, 'who releases a word holds it');
    const next = released(word, look);
    const seen = Atomics.compareExchange(words, base + CLAIM, word, next);
    if (seen === word) return outcome(word, next);
    word = seen;
  }
}

/** The owner lets go without having begun. IDLE, STILL_DUE or TO_TELL. @param due what it had taken, and is due still */
export function giveBack(words: Int32Array, base: number, due: number): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const next = abandoned(word, due);
    const seen = Atomics.compareExchange(words, base + CLAIM, word, next);
    if (seen === word) return outcome(word, next);
    word = seen;
  }
}

function outcome(word: number, next: number): number {
  if (word & (CLOSING | ASKED)) return TO_TELL;
  return next & DUE ? STILL_DUE : IDLE;
}

/** The owner's handler threw. */
export function rest(words: Int32Array, base: number): void {
  change(words, base, rested);
}

/** The owner has looked, and lets go. IDLE, STILL_DUE or TO_TELL. */
export function endLook(words: Int32Array, base: number, mask: number): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const next = looked(word, mask);
    const seen = Atomics.compareExchange(words, base + CLAIM, word, next);
    if (seen === word) return outcome(word, next);
    word = seen;
  }
}

/** The owner's handler asks for a request. */
export function ask(words: Int32Array, base: number): void {
  change(words, base, asked);
}

/** A run is due. The word after it. */
export function wake(words: Int32Array, base: number): number {
  return change(words, base, woken);
}

/** What its handler asked for is carried out, after its release. The word after it. @param rests it threw */
export function settle(words: Int32Array, base: number, rests: boolean): number {
  return change(words, base, word => settled(word, rests));
}

/** What modify() does before it has the kernel look again. The word after it. */
export function renew(words: Int32Array, base: number, stamp: number): number {
  return change(words, base, word => renewed(word, stamp));
}

/** Ends the registration: FREED under the stamp that the caller then stores; HELD: the owner's release ends it. */
export function close(words: Int32Array, base: number, next: number): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const owner = ownerOf(word);
    // What the main thread itself holds ends at once.
    const free = owner === NOBODY || owner === MAIN;
    const seen = Atomics.compareExchange(words, base + CLAIM, word, free ? freeWord(next) : closing(word));
    if (seen === word) return free ? FREED : HELD;
    word = seen;
  }
}

/** How far a dead owner had come. */
export type Progress = 'not begun' | 'running' | 'over';

/** Lets go for an owner that is dead. Whether it was theirs. @param due what they had taken, if they had not begun */
export function abandon(words: Int32Array, base: number, owner: number, progress: Progress, due: number): boolean {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    if (ownerOf(word) !== owner) return false;
    const next =
      progress === 'running' ? interrupted(word) : progress === 'over' ? released(word, true) : abandoned(word, due);
    const seen = Atomics.compareExchange(words, base + CLAIM, word, next);
    if (seen === word) return true;
    word = seen;
  }
}

function change(words: Int32Array, base: number, next: (word: number) => number): number {
  let word = Atomics.load(words, base + CLAIM);
  for (;;) {
    const to = next(word);
    const seen = to === word ? word : Atomics.compareExchange(words, base + CLAIM, word, to);
    if (seen === word) return to;
    word = seen;
  }
}
