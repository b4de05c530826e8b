/** Where everything stands in the memory that the threads of one service share. All counts are in 32-bit words. */
import { DATA_HIGH, DATA_LOW, EVENT_WORDS } from '../kernel/syscalls.js';

// ---- the header ---------------------------------------------------------------------------------------
/** Set once: no further handler is to start. */
export const STOP = 0;
/** 1 while a wake-up of the main thread is on its way. */
export const DOORBELL = 1;
/** Values of ready.post() that the main thread has not taken yet. */
export const POSTS = 2;
/** Threads that are blocked in epoll_wait: a hint, for those that have more in hand than they should. */
export const IDLE = 3;
/** 1 while the main thread takes what is ready itself: threads without a handler sleep on this word (main/stand-in.ts). */
export const AWAKE = 4;
/** Threads that stay out of epoll_wait for a moment (worker/wait-loop.ts); one that dies in it is counted for ever. */
export const DOZING = 5;
const HEADER_WORDS = 16;

// ---- a slot: what the service knows of one registration -----------------------------------------------
export const SLOT_WORDS = 8;
export const CLAIM = 0;
export const GENERATION = 1;
export const FD = 2;
/** The caller's mask. */
export const INTEREST = 3;
export const LOW = 4;
export const HIGH = 5;
/** Odd while modify() changes INTEREST, LOW and HIGH. */
export const SEQUENCE = 6;
/** Of a free slot: the next free one. */
export const NEXT = 7;

/** The slot number (as int32) that the kernel carries for the service's own eventfd. */
export const EXIT_SLOT = -1;

/**
 * How many slots there are beyond the capacity. Slots are reused in turn, so this many registrations come and go before
 * one is used again: a claim that was read, and then slept through 2^10 times that many, would be needed to mistake one
 * generation for another.
 */
const SLACK = 1024;

// ---- a thread -----------------------------------------------------------------------------------------
/** One of the PHASE_ values below. */
export const PHASE = 0;
export const THREAD_ID = 1;
/** What the thread is at: one of the AT_ values, and of which slot, generation and mask. */
export const AT = 2;
export const AT_SLOT = 3;
export const AT_GENERATION = 4;
export const AT_MASK = 5;
/** Goes up with every run of a handler: a peer sees by it whether the thread is stuck in one. */
export const RUNS = 6;
/** How many values of ready.post() this thread has sent. */
export const POSTED = 7;
/** Ring: what the main thread has taken. */
export const HEAD = 16;
/** Ring: 1 while the thread waits for room. */
export const FULL = 17;
/** Ring: what the thread has put in. */
export const TAIL = 32;
const STATS_AT = 48;
const AGENDA_AT = 80;

/** Not begun; whoever ends the service may forbid it. */
export const PHASE_NEW = 0;
/** Loading koffi: ending it now would abort the process. */
export const PHASE_LOADING = 1;
/** Loading the handler. */
export const PHASE_LOADED = 2;
/** In its loop. */
export const PHASE_WAITING = 3;
/** Out of its loop, for good. */
export const PHASE_ENDED = 4;
/** Told not to begin. */
export const PHASE_FORBIDDEN = 5;

export const AT_NOTHING = 0;
/** An event in hand, not yet given to a handler (or to the ring). */
export const AT_EVENT = 1;
/** In a handler. */
export const AT_RUN = 2;
/** In a handler, while the peer with this number less AT_PEER takes over what else it has in hand. */
export const AT_PEER = 16;

/** The Float64 fields of a thread's statistics. */
export const WAITS = 0;
export const EVENTS = 1;
export const HANDLED = 2;
export const CONTENDED_EVENTS = 3;
export const STALE_EVENTS = 4;
export const ERRORS = 5;
export const BUSY = 6;
export const STATS_DOUBLES = 8;

// ---- a thread's ring to the main thread -----------------------------------------------------------------
export const RING_ENTRIES = 1024;
export const ENTRY_WORDS = 8;
export const OP = 0;
export const OP_SLOT = 1;
export const OP_GENERATION = 2;
export const OP_FD = 3;
export const OP_MASK = 4;
export const OP_LOW = 5;
export const OP_HIGH = 6;

/** An event for the main thread, which holds the slot from now on. */
export const EVENT = 1;
/** ready.register, modify, unregister and close. */
export const REGISTER = 2;
export const MODIFY = 3;
export const UNREGISTER = 4;
export const CLOSE = 5;
/** Have the kernel look at the fd again, so that any thread can take it. */
export const REARM = 6;
/** A slot that was being unregistered was let go. */
export const RELEASED = 7;
/** The next message in the thread's port: a value of ready.post(). */
export const POST = 8;
/** The next message in the thread's port: what a handler threw. */
export const ERROR = 9;

/** What both sides must know to find their way. */
export interface Plan {
  readonly memory: SharedArrayBuffer;
  /** `stateStride` bytes for each slot. */
  readonly state: SharedArrayBuffer;
  readonly threads: number;
  readonly slots: number;
  readonly batch: number;
  readonly stateBytes: number;
}

/** Events that one thread may hold and be due to look at again, beside its batch. */
export function heldLimit(batch: number): number {
  return 2 * batch;
}

/** The list is as long again, for what a pass over it puts back. */
function heldWords(batch: number): number {
  return 2 * heldLimit(batch);
}

function threadWords(batch: number): number {
  const words = AGENDA_AT + batch * EVENT_WORDS + heldWords(batch) + RING_ENTRIES * ENTRY_WORDS;
  return (words + 31) & ~31;
}

/** Bytes from one registration's state to the next: aligned for any typed array. */
export function stateStride(stateBytes: number): number {
  return Math.ceil(stateBytes / 8) * 8;
}

/** Reserves the memory of a service; pages are committed as they are used. @throws RangeError: more than there can be */
export function createPlan(threads: number, capacity: number, batch: number, stateBytes: number): Plan {
  // A slot that is unregistered while a thread holds it is not free yet.
  const slots = capacity + SLACK + Math.min(capacity, threads * (batch + heldLimit(batch) + 1));
  const words = HEADER_WORDS + threads * threadWords(batch) + slots * SLOT_WORDS;
  return {
    memory: new SharedArrayBuffer(words * 4),
    state: new SharedArrayBuffer(stateStride(stateBytes) * slots),
    threads,
    slots,
    batch,
    stateBytes,
  };
}

export function headerOf(plan: Plan): Int32Array {
  return new Int32Array(plan.memory, 0, HEADER_WORDS);
}

/** Slot `i` stands at `i * SLOT_WORDS`. */
export function slotsOf(plan: Plan): Int32Array {
  const at = HEADER_WORDS + plan.threads * threadWords(plan.batch);
  return new Int32Array(plan.memory, at * 4, plan.slots * SLOT_WORDS);
}

/** One thread's part. */
export interface ThreadMemory {
  readonly words: Int32Array;
  readonly stats: Float64Array;
  /** What epoll_wait fills; an entry's generation is 0 once it is done. */
  readonly agenda: Int32Array;
  /** What it holds and is to look at again: slot numbers + 1. */
  readonly held: Int32Array;
  readonly ring: Int32Array;
}

export function threadOf(plan: Plan, index: number): ThreadMemory {
  const size = threadWords(plan.batch);
  const start = (HEADER_WORDS + index * size) * 4;
  const agendaWords = plan.batch * EVENT_WORDS;
  const heldLength = heldWords(plan.batch);
  const agendaAt = start + AGENDA_AT * 4;
  const heldAt = agendaAt + agendaWords * 4;
  return {
    words: new Int32Array(plan.memory, start, AGENDA_AT),
    stats: new Float64Array(plan.memory, start + STATS_AT * 4, STATS_DOUBLES),
    agenda: new Int32Array(plan.memory, agendaAt, agendaWords),
    held: new Int32Array(plan.memory, heldAt, heldLength),
    ring: new Int32Array(plan.memory, heldAt + heldLength * 4, RING_ENTRIES * ENTRY_WORDS),
  };
}

/** Where entry `i` of an agenda has its slot and its generation. */
export const AGENDA_SLOT = DATA_LOW;
export const AGENDA_GENERATION = DATA_HIGH;
