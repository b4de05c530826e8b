// What the threads of queue.mjs share: a ledger for each registration, in 32-bit words and doubles.
export const FDS = 48;
/** Registrations whose runs are told apart: by their serial number, modulo this. */
export const SERIALS = 1 << 16;

let at = 0;
const field = size => {
  const start = at;
  at += size;
  return start;
};

export const SENT = field(FDS);
export const TAKEN = field(FDS);
/** wake()s asked for, and how many of them the last run that began has seen. */
export const WAKES = field(FDS);
export const SEEN = field(FDS);
/** 1: ready.again() was called, and no run has begun since. */
export const AGAIN = field(FDS);
export const AGAINS = field(FDS);
/** Runs that were given 0. */
export const EMPTY = field(FDS);
/** The number of the last register() or modify(). */
export const ARM = field(FDS);
/** The mode of the last run. */
export const MODE = field(FDS);
/** 0: no writer may write; 1 and the writers that are at it. */
export const OPEN = field(FDS);
export const READABLE = field(FDS);
export const WRITABLE = field(FDS);
export const KIND = field(FDS);
/**
 * By serial: in a run, the life of its thread (what a thread has sent is told before its death is, and may be answered with a
 * modify(): it may run again before #error hears of the death); the number of the run that has asked for a modify(); the number that a oneshot
 * has run with.
 */
export const INSIDE = field(SERIALS);
export const ASKED = field(SERIALS);
export const RAN = field(SERIALS);
/** By life of a thread, from 1: 1 when it has died. */
export const DEAD = field(64);
/** One word each. */
export const LIVES = field(1);
export const PAUSE = field(1);
export const PAUSED = field(1);
export const CALM = field(1);
export const DEATHS = field(1);
export const THROWS = field(1);
export const POSTS = field(1);
export const RUNS = field(1);
export const MAY_DIE = field(1);
/** What must not be. */
export const OVERLAPS = field(1);
export const STRAYS = field(1);
export const DISORDER = field(1);
export const EARLY = field(1);
export const TWICE = field(1);
export const WRONG_ID = field(1);
const WORDS = at;

/** Doubles: the id that is registered (0: not known yet), the last that is gone, the last whose file was closed behind its back. */
export const ID = 0;
export const GONE = FDS;
export const BEHIND = 2 * FDS;

export const STREAM = 0;
export const PIPE = 1;
export const COUNTER = 2;

export const LEVEL = 0;
export const EDGE = 1;
export const ONESHOT = 2;
/** A oneshot that the main thread arms again. */
export const ONESHOT_MAIN = 3;

export function create() {
  return { words: new SharedArrayBuffer(WORDS * 4), ids: new SharedArrayBuffer(3 * FDS * 8) };
}

export function fields({ words, ids }) {
  return { words: new Int32Array(words), ids: new Float64Array(ids) };
}

/** A registration's data: which fd, mode, number and serial. */
export function pack(i, mode, arm, serial) {
  return BigInt(i) | (BigInt(mode) << 8n) | (BigInt(arm & 0xffffff) << 16n) | (BigInt(serial & 0xffffff) << 40n);
}

export function unpack(data) {
  return {
    i: Number(data & 0xffn),
    mode: Number((data >> 8n) & 0xffn),
    arm: Number((data >> 16n) & 0xffffffn),
    serial: Number(data >> 40n),
  };
}
