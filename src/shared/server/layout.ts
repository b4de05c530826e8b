/**
 * Where everything stands in the memory that a server's main thread and its threads share. All counts are in 32-bit words.
 *
 * A connection has a slot, from its acceptance until nothing can touch it any more, and its words in it. Its id is its slot's
 * generation times 2^24 plus the slot: no other connection of the server ever has it.
 */
import { queueWords } from '../service/run-queue.js';
import { type ArenaPlan, createArena } from './arena.js';

// ---- the header -----------------------------------------------------------------------------------------
/** 1 once the server closes: no further message begins. */
export const CLOSING = 0;
/** The coarse clock: goes up by one with each tick of the main thread's, so it never runs ahead of time. */
export const TICK = 1;
/** One more than the highest slot that was ever used. */
export const TOP = 2;
/** 1 while a ring of the main thread's bell is on its way. */
export const RUNG = 3;
/** Where the next search for a parked connection begins, among those that had their turn in vain, and among the others. */
export const FIRST_FROM = 4;
export const PARKED_FROM = 5;
const HEADER_WORDS = 16;

// ---- a thread --------------------------------------------------------------------------------------------
/** The item (its first block + 1) that the thread is about to push to a mailbox, and whose; 0: none. */
export const INTENT = 0;
export const INTENT_SLOT = 1;
/** How many values it has posted. */
export const POSTED = 2;
/** 1 while it has as many pending promises as may be, or is dead (worker/server/parking.ts). */
export const IS_FULL = 3;
/** Float64 fields, from the thread's ninth word on. */
export const MESSAGES = 0;
export const BYTES_READ = 1;
export const BYTES_WRITTEN = 2;
const THREAD_COUNTS = 8;
const COUNTS_AT = 8;
const THREAD_WORDS = COUNTS_AT + THREAD_COUNTS * 2;

/** The owner of what the main thread holds; threads are their index + 1. */
export const MAIN = 255;

// ---- a connection's words --------------------------------------------------------------------------------
// Those that every connection has, and apart from them those of which an idle one without TLS has none: pages of these are
// committed where they are used alone. Nothing writes a zero into one that is zero.
const HOT_WORDS = 24;
const COLD_WORDS = 24;
/** So many connections' hot words stand together, and then their cold ones. */
const GROUP_BITS = 10;
const GROUP = 1 << GROUP_BITS;
const GROUP_WORDS = GROUP * (HOT_WORDS + COLD_WORDS);
/** From a connection's hot words to its cold ones. */
const COLD = GROUP * HOT_WORDS;

// Anybody's, by Atomics:
/** See lock.ts. */
export const LOCK = 0;
/** The generation of the slot's connection; 0: there is none. */
export const GENERATION = 1;
/** The mailbox: its newest item's first block + 1; 0: empty. */
export const MAIL = 2;
/** Readiness that no run has taken yet. */
export const EVENTS = 3;
/** What is asked of its next run: COMMAND_ bits. */
export const COMMANDS = 4;
/** What the main thread has yet to take: REPORT_ bits. */
export const REPORT = 5;
/** The thread (its index + 1) that has its handler's pending promise; 0: none. */
export const AWAIT = 6;
/** 1: the handler's promise was rejected, and its protocol has its last word: however the connection ends now, it is for that. */
export const FAILING = 7;
// The holder of the lock's alone (the main thread sets them before the connection is known):
export const FLAGS = 8;
export const REASON = 9;
export const FD = 10;
/** When a byte moved last, or a message was done with: the clock's tick. */
export const ACTIVITY = 11;
/** When its handshake, or its end, has taken too long, as sharedDeadline() has it; 0: never. */
export const DEADLINE = 12;
/** 1 once `state` was asked for. */
export const STATE_USED = 13;
/** The registration's id with the service, in two halves; the higher has KNOWN set once both are there. */
export const REGISTRATION = 14;
/** The peer's struct sockaddr: its bytes, and how many. */
export const ADDRESS = 16;
export const ADDRESS_WORDS = 7;
export const ADDRESS_BYTES = 23;
// The same, cold:
/** Chains (see chain.ts): the beginning of a message, input that nobody has looked at, and output. */
export const INPUT = COLD + 0;
export const BACKLOG = COLD + 4;
export const OUTPUT = COLD + 8;
/** How much of the message frame() has seen, its length once that is known, and where frame() stopped. */
export const SEEN = COLD + 12;
export const TOTAL = COLD + 13;
export const POSITION = COLD + 14;
/** Counts the messages whose beginning was kept: a thread's own copy of one (assembly.ts) is good for its epoch only. Never set back. */
export const EPOCH = COLD + 15;
/** The SSL's address, and, until it is made, its context's; two halves each. */
export const SSL = COLD + 16;
export const CONTEXT = COLD + 18;
/** With TLS: how much of what the session has read and written was counted; two halves each. */
export const WIRE_READ = COLD + 20;
export const WIRE_WRITTEN = COLD + 22;

/** Where a connection's words begin. */
export function baseOf(slot: number): number {
  return (slot >>> GROUP_BITS) * GROUP_WORDS + (slot & (GROUP - 1)) * HOT_WORDS;
}

// ---- FLAGS -------------------------------------------------------------------------------------------------
/** The TLS handshake is not done. */
export const SHAKING = 0x1;
/** open() was called. */
export const OPENED = 0x2;
/** The socket may have input. */
export const READABLE = 0x4;
/** A short read does not mean that there is no more: the peer's end stands behind it. */
export const HANGING = 0x8;
/** The kernel has an error for it. */
export const ERROR = 0x10;
/** The socket refused output, and has not said since that it takes more. */
export const BLOCKED = 0x20;
export const PEER_ENDED = 0x40;
/** No further message is handled; once what is kept is sent, our end of stream follows. */
export const ENDING = 0x80;
export const END_SENT = 0x100;
/** Nothing touches the socket any more. */
export const ENDED = 0x200;
/** close() was called, or was not to be. */
export const CLOSE_CALLED = 0x400;
/** It is to end at once: the reason stands in REASON. */
export const DOOMED = 0x800;

// ---- COMMANDS ----------------------------------------------------------------------------------------------
/** A handler's promise was rejected. */
export const COMMAND_FAILED = 0x1;
/** A time-out may have passed: of the connection's silence; of its handshake, or its end. */
export const COMMAND_IDLE = 0x2;
export const COMMAND_LATE = 0x4;
/** The thread that had it is dead. */
export const COMMAND_THREAD = 0x8;
/** It was parked, and it is its turn. */
export const COMMAND_ADMIT = 0x10;

// ---- REPORT ------------------------------------------------------------------------------------------------
/** The handshake is done. */
export const REPORT_OPENED = 0x1;
/** It has ended, for REASON. */
export const REPORT_ENDED = 0x2;
/** close() was called: nothing uses the slot any more. */
export const REPORT_DONE = 0x4;

/** Slots beyond maxConnections: what has ended is not free at once, and a slot rests before it is used again. */
const SLACK = 1024;
const SLOT_BITS = 24;
export const MOST_CONNECTIONS = 2 ** SLOT_BITS - SLACK;
const PAGE_WORDS = 1024;
const MOST_MAPPED_FDS = 1 << 20;

export interface ServerLimits {
  readonly threads: number;
  readonly maxConnections: number;
  readonly stateBytes: number;
  readonly memory: number;
}

/** What both sides must know. */
export interface ServerPlan {
  readonly memory: SharedArrayBuffer;
  readonly state: SharedArrayBuffer;
  readonly arena: ArenaPlan;
  readonly threads: number;
  readonly slots: number;
  readonly stateBytes: number;
}

/** @throws RangeError: more than there can be */
export function createPlan({ threads, maxConnections, stateBytes, memory }: ServerLimits): ServerPlan {
  const slots = maxConnections + SLACK;
  return {
    memory: new SharedArrayBuffer(wordsAt(threads, slots).end * 4),
    state: new SharedArrayBuffer(stateStride(stateBytes) * slots),
    arena: createArena(memory),
    threads,
    slots,
    stateBytes,
  };
}

export function stateStride(stateBytes: number): number {
  return Math.ceil(stateBytes / 8) * 8;
}

/** Of so many connections. */
function wordsOf(slots: number): number {
  return Math.ceil(slots / GROUP) * GROUP_WORDS;
}

function wordsAt(threads: number, slots: number) {
  const threadsAt = HEADER_WORDS;
  // Cold words begin pages of their own.
  const connectionsAt = Math.ceil((threadsAt + threads * THREAD_WORDS) / PAGE_WORDS) * PAGE_WORDS;
  const bits = Math.ceil(slots / 32);
  const dirtyAt = connectionsAt + wordsOf(slots);
  const parkedAt = dirtyAt + bits;
  const firstAt = parkedAt + queueWords(slots);
  const slotsAt = firstAt + queueWords(slots);
  return { threadsAt, connectionsAt, bits, dirtyAt, parkedAt, firstAt, slotsAt, end: slotsAt + MOST_MAPPED_FDS };
}

/** The same memory, as both sides use it. */
export interface ServerMemory {
  readonly header: Int32Array;
  /** A connection's begin at `baseOf(slot)`. */
  readonly words: Int32Array;
  /** A bit for each slot with a REPORT. */
  readonly dirty: Int32Array;
  /** The slots whose input waits for a thread that has room: a RunQueue's words. */
  readonly parked: Int32Array;
  /** Those of them whose turn it was already. */
  readonly first: Int32Array;
  /** Slot + 1 of each fd below 2^20. */
  readonly slotOfFd: Int32Array;
  readonly threads: readonly ThreadMemory[];
  readonly slots: number;
}

export interface ThreadMemory {
  readonly words: Int32Array;
  readonly counts: Float64Array;
}

export function memoryOf(plan: ServerPlan): ServerMemory {
  const { memory, threads, slots } = plan;
  const at = wordsAt(threads, slots);
  const view = (from: number, length: number): Int32Array => new Int32Array(memory, from * 4, length);
  return {
    header: view(0, HEADER_WORDS),
    words: view(at.connectionsAt, wordsOf(slots)),
    dirty: view(at.dirtyAt, at.bits),
    parked: view(at.parkedAt, queueWords(slots)),
    first: view(at.firstAt, queueWords(slots)),
    slotOfFd: view(at.slotsAt, MOST_MAPPED_FDS),
    threads: Array.from({ length: threads }, (_, index) => {
      const from = at.threadsAt + index * THREAD_WORDS;
      return {
        words: view(from, COUNTS_AT),
        counts: new Float64Array(memory, (from + COUNTS_AT) * 4, THREAD_COUNTS),
      };
    }),
    slots,
  };
}

const SLOTS = 2 ** SLOT_BITS;

export function idOf(slot: number, generation: number): number {
  return generation * SLOTS + slot;
}

export function slotOf(id: number): number {
  return id % SLOTS;
}

export function generationOf(id: number): number {
  return Math.floor(id / SLOTS);
}

const KNOWN = 0x8000_0000 | 0;

/** Tells the registration's id, whoever knows it first. */
export function storeRegistration(words: Int32Array, base: number, id: number): void {
  words[base + REGISTRATION] = id % 2 ** 32;
  Atomics.store(words, base + REGISTRATION + 1, Math.floor(id / 2 ** 32) | KNOWN);
}

/** -1: not known yet. */
export function loadRegistration(words: Int32Array, base: number): number {
  const high = Atomics.load(words, base + REGISTRATION + 1);
  if (high === 0) return -1;
  const low = words[base + REGISTRATION] ?? 0;
  return high === KNOWN && low >= 0 ? low : (high & ~KNOWN) * 2 ** 32 + (low >>> 0);
}

/** All of a connection's words are 0 from now on, but for those that outlive it. */
export function clearWords(words: Int32Array, base: number): void {
  words.fill(0, base + EVENTS, base + HOT_WORDS);
  for (let at = base + COLD; at < base + COLD + COLD_WORDS; at++) {
    if (words[at] !== 0 && at !== base + EPOCH) words[at] = 0;
  }
}

/** A pointer, or another whole number below 2^53, in two words. */
export function storeWide(words: Int32Array, at: number, value: number): void {
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

export function loadWide(words: Int32Array, at: number): number {
  const high = words[at + 1] ?? 0;
  const low = words[at] ?? 0;
  // As often as not it is 0, and the sum would be a number of its own on the heap.
  return high === 0 && low >= 0 ? low : high * 2 ** 32 + (low >>> 0);
}
