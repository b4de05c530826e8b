/** Where everything stands in the memory that the threads of one service share. All counts are in 32-bit words. */
import { DATA_HIGH, DATA_LOW, EVENT_WORDS } from '../kernel/syscalls.js';
import { queueWords } from './run-queue.js';

// ---- the header ---------------------------------------------------------------------------------------
/** Set once: no further handler is to start. */
export const STOP = 0;
/** 1 while a wake-up of the main thread is on its way. */
export const DOORBELL = 1;
/** 1: kcmp(2) may be called. */
export const KCMP = 2;
/** The main thread has taken values of ready.post(): threads that wait for room sleep on this word. */
export const POSTS = 3;
/** 1 while the main thread takes what is ready itself: threads without a handler sleep on this word (inbox/stand-in.ts). */
export const AWAKE = 4;
/** 1: a file is watched whose poll tells a change once (files.ts). */
export const NEWS = 5;
/** Goes up with every entry that is for listeners: what a thread has put in its ring before another one's came before it. */
export const NOTED = 6;
/** How many registrations there are. */
export const SIZE = 7;
/** Threads that are blocked in epoll_wait, at least: one that dies there is counted for ever. */
export const IDLE = 16;
/** When a thread last looked after its peers (sharedTime). */
export const WATCHED = 17;
/** 1: a thread was called for the run queue, and none has come back from the kernel since. */
export const CALLED = 18;
/** The run queue: where the next search begins. */
export const CURSOR = 32;
const HEADER_WORDS = 64;

// ---- a slot: what the service knows of one registration: 64 bytes, a cache line; 15 is free -----------------
export const SLOT_WORDS = 16;
export const CLAIM = 0;
/** What the kernel carries with each event: changes with every registration and every modify(). */
export const STAMP = 1;
/** Changes with every registration. */
export const GENERATION = 2;
export const FD = 3;
/** The caller's mask. */
export const INTEREST = 4;
export const LOW = 5;
export const HIGH = 6;
/** Odd while modify() changes INTEREST, LOW and HIGH. */
export const SEQUENCE = 7;
/** Of a free slot: the next free one. */
export const NEXT = 8;
/** While its handler runs, or its promise is pending: BEGUN, and the mask that it was given. */
export const RUNNING = 9;
/** What kind of file it is, and which (files.ts). */
export const KIND = 10;
/** 1: its state was looked at, and is to be zeroed for the next registration. */
export const TOUCHED = 11;
export const INODE = 12;
export const DEVICE = 13;
/** What its handler has asked for, and the registry has not carried out. */
export const ASKS = 14;

export const BEGUN = 0x8000_0000 | 0;

/** The slot number (as int32) that the kernel carries for the service's own eventfds: the one that ends all waits … */
export const EXIT_SLOT = -1;
/** … and the one that has a thread look at the run queue. */
export const WAKE_SLOT = -2;

/**
 * How many slots there are beyond the capacity. Slots are reused in turn, so this many registrations come and go before
 * one is used again, and an event of an old one that is met late finds another stamp.
 */
const SLACK = 1024;

/** An id is a slot and a generation in one number, below 2^53. */
const SLOT_SPAN = 2 ** 24;
const GENERATION_SPAN = 2 ** 29;

/** The id of a registration: a safe integer that no other one of the service has. */
export function idOf(slot: number, generation: number): number {
  return (generation & (GENERATION_SPAN - 1)) * SLOT_SPAN + slot;
}

/** The slot of that registration, whatever has it by now. */
export function slotOf(id: number): number {
  return id % SLOT_SPAN;
}

// ---- a thread -----------------------------------------------------------------------------------------
/** One of the PHASE_ values below. */
export const PHASE = 0;
export const THREAD_ID = 1;
/** Goes up with every run of a handler: a peer sees by it whether the thread gets on. */
export const RUNS = 2;
/** How many values of ready.post() this thread has sent, and how many of them were taken. */
export const POSTED = 3;
export const TAKEN = 4;
/** The slot + 1 that it is taking, giving to the main thread, or letting go of; what it took from there, or OVER: its run is over. */
export const HAND = 5;
export const HAND_DUE = 6;
export const OVER = -1;
/** The event that it has taken from an agenda and not dealt with: slot, stamp (0: none) and mask. */
export const EVENT_SLOT = 7;
export const EVENT_STAMP = 8;
export const EVENT_MASK = 9;
/** The thread + 1 that takes events from this one's agenda: as long as one does, nothing is fetched into it. */
export const TAKER = 10;
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
/** Of POST and ERROR: which one it is, of all threads. */
export const OP_NOTED = 7;

/** An event for the main thread, which holds the slot from now on. OP_MASK is 1 if it was counted. */
export const EVENT = 1;
/** ready.register, modify, unregister and close. */
export const REGISTER = 2;
export const MODIFY = 3;
export const UNREGISTER = 4;
export const CLOSE = 5;
/** A slot was let go that is to be unregistered, or whose handler has asked for something: all of that is before this. */
export const RELEASED = 6;
/** The next message in the thread's port: a value of ready.post(). */
export const POST = 7;
/** The next message in the thread's port: what a handler threw. */
export const ERROR = 8;

/** What both sides must know to find their way. */
export interface Plan {
  readonly memory: SharedArrayBuffer;
  /** `stateStride` bytes for each slot. */
  readonly state: SharedArrayBuffer;
  readonly threads: number;
  readonly slots: number;
  readonly batch: number;
  readonly stateBytes: number;
  /** Most runs of one thread whose promises are pending. */
  readonly concurrency: number;
}

/** How many slots a thread's list has room for: what it has fetched, and what it is to look at again. */
function listWords(batch: number): number {
  return 2 * batch;
}

function threadWords(batch: number): number {
  const words = AGENDA_AT + batch * EVENT_WORDS + listWords(batch) + RING_ENTRIES * ENTRY_WORDS;
  return (words + 31) & ~31;
}

/** Bytes from one registration's state to the next: aligned for any typed array. */
export function stateStride(stateBytes: number): number {
  return Math.ceil(stateBytes / 8) * 8;
}

/** Reserves the memory of a service; pages are committed as they are used. @throws RangeError: more than there can be */
export function createPlan(
  threads: number,
  capacity: number,
  batch: number,
  stateBytes: number,
  concurrency: number,
): Plan {
  // A slot that is unregistered while a thread holds it is not free yet.
  const spare = SLACK + Math.min(capacity, threads * (batch + concurrency + 1));
  // Or an id would be another registration's, too.
  const slots = Math.min(SLOT_SPAN, capacity + spare);
  const words = HEADER_WORDS + threads * threadWords(batch) + slots * SLOT_WORDS + queueWords(slots);
  return {
    memory: new SharedArrayBuffer(words * 4),
    state: new SharedArrayBuffer(stateStride(stateBytes) * slots),
    threads,
    slots,
    batch,
    stateBytes,
    concurrency,
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

/** The run queue's part: its levels, one after the other. */
export function queueOf(plan: Plan): Int32Array {
  const at = HEADER_WORDS + plan.threads * threadWords(plan.batch) + plan.slots * SLOT_WORDS;
  return new Int32Array(plan.memory, at * 4, queueWords(plan.slots));
}

/** One thread's part. */
export interface ThreadMemory {
  readonly words: Int32Array;
  readonly stats: Float64Array;
  /** What epoll_wait fills; an entry's stamp is 0 once it was taken. */
  readonly agenda: Int32Array;
  /** Slots that are due, and that it has not come to yet: their numbers + 1. */
  readonly list: Int32Array;
  readonly ring: Int32Array;
}

export function threadOf(plan: Plan, index: number): ThreadMemory {
  const size = threadWords(plan.batch);
  const start = (HEADER_WORDS + index * size) * 4;
  const agendaWords = plan.batch * EVENT_WORDS;
  const listLength = listWords(plan.batch);
  const agendaAt = start + AGENDA_AT * 4;
  const listAt = agendaAt + agendaWords * 4;
  return {
    words: new Int32Array(plan.memory, start, AGENDA_AT),
    stats: new Float64Array(plan.memory, start + STATS_AT * 4, STATS_DOUBLES),
    agenda: new Int32Array(plan.memory, agendaAt, agendaWords),
    list: new Int32Array(plan.memory, listAt, listLength),
    ring: new Int32Array(plan.memory, listAt + listLength * 4, RING_ENTRIES * ENTRY_WORDS),
  };
}

/** Where entry `i` of an agenda has its slot and its stamp. */
export const AGENDA_SLOT = DATA_LOW;
export const AGENDA_STAMP = DATA_HIGH;
