/** What the threads of a load test share: times, counts by thread, and a record of each connection. */
import { Histogram } from './histogram.js';
import { ResponseFramer } from './http-response.js';
import { IdleQueue } from './idle-queue.js';
import type { Stage } from './profile.js';
import { KEPT_BYTES } from './protocol.js';
import type { RequestBase } from './request-builder.js';
import { planSchedule, type SchedulePlan } from './schedule.js';

// ---- times, by clock() ------------------------------------------------------------------------------------
/** Requests sent (or due) from then on are counted. A closed loop sends none before this is known. */
export const COUNT_FROM = 0;
/** A closed loop sends none from then on; in an open loop no more become due. */
export const END = 1;
/** An open loop sends until then what was due before the end. */
export const DEADLINE = 2;
const TIMES = 3;

// ---- a thread's counts: doubles that it alone writes ------------------------------------------------------
/** Requests begun and responses completed, those of the warm-up too: what is between them is under way. */
export const BEGUN = 0;
export const ANSWERED = 1;
// Counted ones only.
export const REQUESTS = 2;
export const RESPONSES = 3;
export const BYTES_SENT = 4;
export const BYTES_RECEIVED = 5;
/** Responses with a status that was not expected. */
export const UNEXPECTED = 6;
/** When the last response came. */
export const LAST = 7;
/** Requests that a free connection sent long after they were due, for want of a thread. */
export const LATE = 8;
export const THREAD_ID = 9;
/** Requests that were sent once more, because the server had closed the connection under them. */
export const RETRIES = 10;
/** When a connection was last opened by the thread. */
export const OPENED = 11;
/** Answers that a script's check() has refused, and those at which it threw. */
export const REFUSED = 12;
export const THROWN = 13;
/** TLS sessions that went on with an earlier one. */
export const RESUMED = 14;
/** The kernel's number of the thread, gettid(). */
export const KERNEL_THREAD = 15;
/** By status code, 0 to 999. */
export const STATUSES = 16;
const COUNTS = STATUSES + 1000;
/** Bytes of one thread's part: its counts, then its histograms, of answers and of TLS handshakes. */
const THREAD_BYTES = COUNTS * 8 + 2 * Histogram.BYTES;

// ---- a connection's record: doubles -----------------------------------------------------------------------
/** One of the states below. */
export const STATE = 0;
/** Set by the main thread: leave it alone as soon as you can. */
export const DOOMED = 1;
/** -1 while there is none. */
export const FD = 2;
/** When it began to be opened, to leave, or to be told what nobody has asked for. */
export const SINCE = 3;
/** Requests begun and not answered; of these, the last so many are not wholly written. */
export const UNDER_WAY = 4;
export const UNWRITTEN = 5;
/** Of the first of those: how many bytes are written. */
export const WRITTEN = 6;
/** Where in the ring the oldest is. */
export const OLDEST = 7;
/** 1 while it is in a queue of those that can take a request. */
export const QUEUED = 8;
/** 1 once it has answered since it was opened. */
export const SERVED = 9;
/** Of the oldest requests under way, so many were sent before, on a connection that the server closed. */
export const RETRIED = 10;
/** 1 once a request was begun that says it is the connection's last. */
export const LAST_BEGUN = 11;
/** 1 if it was opened before the test began: it may have been idle for long. */
export const EARLY = 12;
/** The TLS session's address, 0: none; and when its handshake began. */
export const SESSION = 13;
export const SHAKING_SINCE = 14;
/** 1 if not all was read that there was: another run goes on. */
export const UNREAD = 15;
export const FRAMING = 16;
/** A ring, with an entry for each request under way. */
export const RING = FRAMING + ResponseFramer.WORDS;

// An entry: from when its latency counts, when it was begun, which request of the whole test it is, and its traits.
export const FROM = 0;
export const BEGUN_AT = 1;
export const NUMBER = 2;
export const TRAITS = 3;
/** Bytes of the request, where they are kept. */
export const LENGTH = 4;
export const ENTRY = 5;

export { CLOSES, HEAD, IDEMPOTENT } from './traits.js';

/** No connection; but the fd may be there, to be connected anew. */
export const CLOSED = 0;
export const OPEN = 1;
/** A handler has done with it; the main thread has to close it. */
export const DONE = 2;
export const CONNECTING = 3;
/** This side has ended it; the other's end is still to come. */
export const LEAVING = 4;
/** Connected, but TLS is not agreed on yet. */
export const SHAKING = 5;

// ---- who may open and close a connection: one int32 each --------------------------------------------------
/** The thread that is at the connection. */
export const ANY_THREAD = 0;
export const ONE_THREAD = 1;
export const MAIN_THREAD = 2;

/** What the main thread has to do with a connection: nothing; open it; close it, and open it again. */
export const NOTHING = 0;
export const TO_OPEN = 1;
export const TO_CLOSE = 2;

/** Bytes of shared state that the service keeps for a registration: which connection it is. */
export const STATE_BYTES = 4;
/** The registration's data: the timer's, and that of connection 0. */
export const TIMER_DATA = 1;
export const FIRST_DATA = 2;

/** What a handler posts of a connection that has ended, where the main thread has something to count or to do. */
export interface Parting {
  readonly id: number;
  /** Empty: the server closes, as it said. A note: what a script's check() has thrown first. */
  readonly kind: '' | 'note' | 'connect' | 'reset' | 'protocol';
  readonly detail: string;
  /** Requests that will not be answered; of these, the counted ones. */
  readonly lost: number;
  readonly counted: number;
  /** None was under way, but the failure stands for one that could not be sent. */
  readonly stands: boolean;
  readonly todo: typeof NOTHING | typeof TO_OPEN | typeof TO_CLOSE;
}

/** TLS sessions are made of it. */
export interface TlsPlan {
  /** The context's address. */
  readonly context: number;
  readonly servername: Uint8Array | undefined;
  /** Whether sessions go on with an earlier one: with which, and whether a thread has seen to it. */
  readonly resumes: boolean;
  readonly resumption: Float64Array;
  readonly taken: Int32Array;
}

export function isParting(value: unknown): value is Parting {
  return typeof value === 'object' && value !== null && 'id' in value && 'todo' in value;
}

/** What every thread is given. */
export interface Assignment {
  readonly threads: number;
  readonly pipelining: number;
  /** In milliseconds; 0: each request counts. */
  readonly warmup: number;
  /** Infinity: no limit. */
  readonly requests: number;
  readonly request: Uint8Array;
  readonly traits: number;
  readonly protocol: 'http' | 'echo' | 'module';
  /** For import(). */
  readonly module: string | undefined;
  /** A module that makes the requests, checks the answers, or both; and what its setup() gave. */
  readonly script: string | undefined;
  readonly scriptData: unknown;
  readonly base: RequestBase;
  /** Requests that are sent in turn; empty where `request` is sent each time, or a script makes them. */
  readonly list: ReadonlyArray<{ readonly bytes: Uint8Array; readonly traits: number }>;
  readonly tls: TlsPlan | undefined;
  readonly expected: Uint8Array;
  readonly stride: number;
  readonly times: Float64Array;
  readonly counts: SharedArrayBuffer;
  /** How many threads have begun; how many requests of the limit are taken. */
  readonly begun: Int32Array;
  readonly taken: BigInt64Array;
  readonly records: Float64Array;
  readonly gates: Int32Array;
  /** The struct sockaddr to connect to, its length before it: what the first connection has found, or a unix socket's. */
  readonly address: Uint8Array;
  /** 1 once anything was answered. */
  readonly answered: Int32Array;
  /** Errors so far, and how many of them end the test: Infinity where that is not asked for. */
  readonly faults: Int32Array;
  readonly stopAfter: number;
  /** How many requests have a number. */
  readonly numbers: BigInt64Array;
  /** Of a module's protocol or a script: bytes that a connection keeps, `keptBytes` of what came and as many of what is to go. */
  readonly kept: SharedArrayBuffer;
  readonly keptBytes: number;
  /** Of an open loop. */
  readonly schedule: SchedulePlan | undefined;
  readonly owners: Int32Array;
  readonly idle: Int32Array;
  /** Of the connections that the server has closed while they were idle: they are opened when they are needed. */
  readonly spare: Int32Array;
}

/** A thread that died is replaced by one that counts for itself: room for some of them. */
const SPARE_THREADS = 16;
const ADDRESS_BYTES = 128;

export type BoardPlan = Pick<
  Assignment,
  | 'threads'
  | 'pipelining'
  | 'warmup'
  | 'requests'
  | 'stopAfter'
  | 'request'
  | 'traits'
  | 'protocol'
  | 'module'
  | 'expected'
  | 'tls'
  | 'script'
  | 'scriptData'
  | 'base'
  | 'list'
> & {
  readonly connections: number;
  readonly rate: number;
  readonly stages: readonly Stage[] | undefined;
  /** Of a unix socket. */
  readonly address: Uint8Array | undefined;
};

/** Memory that is not touched is not there: for few connections it can be plenty. */
const MOST_KEPT = 4 * 2 ** 30;
const MOST_KEPT_BYTES = 16 * 2 ** 20;

function keptByScript(connections: number): number {
  return Math.min(MOST_KEPT_BYTES, Math.floor(MOST_KEPT / 2 / connections / 1024) * 1024);
}

export function createBoard(plan: BoardPlan): Assignment {
  const { connections, rate, stages, address, ...rest } = plan;
  const stride = RING + ENTRY * plan.pipelining;
  const times = new Float64Array(new SharedArrayBuffer(TIMES * 8));
  times.fill(Number.POSITIVE_INFINITY);
  const keptBytes = plan.protocol === 'module' ? KEPT_BYTES : plan.script === undefined ? 0 : keptByScript(connections);
  const records = new Float64Array(new SharedArrayBuffer(connections * stride * 8));
  for (let at = 0; at < records.length; at += stride) records[at + FD] = -1;
  const board = {
    ...rest,
    stride,
    times,
    counts: new SharedArrayBuffer((plan.threads + SPARE_THREADS) * THREAD_BYTES),
    begun: new Int32Array(new SharedArrayBuffer(4)),
    taken: new BigInt64Array(new SharedArrayBuffer(8)),
    records,
    gates: new Int32Array(new SharedArrayBuffer(connections * 4)).fill(MAIN_THREAD),
    address: new Uint8Array(new SharedArrayBuffer(ADDRESS_BYTES)),
    answered: new Int32Array(new SharedArrayBuffer(4)),
    faults: new Int32Array(new SharedArrayBuffer(4)),
    numbers: new BigInt64Array(new SharedArrayBuffer(8)),
    kept: new SharedArrayBuffer(connections * 2 * keptBytes),
    keptBytes,
    schedule: rate > 0 ? planSchedule(rate, stages, plan.warmup) : undefined,
    owners: new Int32Array(new SharedArrayBuffer(connections * 4)),
    idle: IdleQueue.create(rate > 0 ? connections : 0),
    spare: IdleQueue.create(rate > 0 ? connections : 0),
  };
  if (address !== undefined) tellAddress(board, address);
  return board;
}

export interface ThreadCounts {
  readonly counts: Float64Array;
  readonly histogram: Histogram;
  readonly handshakes: Histogram;
}

/** One thread's counts and histograms. @param index from 0 */
export function countsOf({ counts }: Assignment, index: number): ThreadCounts {
  const at = index * THREAD_BYTES;
  return {
    counts: new Float64Array(counts, at, COUNTS),
    histogram: new Histogram(counts, at + COUNTS * 8),
    handshakes: new Histogram(counts, at + COUNTS * 8 + Histogram.BYTES),
  };
}

/** How many threads have begun, dead ones too. */
export function threadsBegun({ begun, counts }: Assignment): number {
  return Math.min(Atomics.load(begun, 0), counts.byteLength / THREAD_BYTES);
}

/** For a thread that begins: its number. @throws Error when too many have died */
export function joinBoard({ begun, counts }: Assignment): number {
  const index = Atomics.add(begun, 0, 1);
  if (index >= counts.byteLength / THREAD_BYTES) throw new Error('too many threads of the load test have died');
  return index;
}

/** The number of a request that begins now. */
export function takeNumber({ numbers }: Assignment): number {
  return Number(Atomics.add(numbers, 0, 1n));
}

/** Takes one of the requests that may be sent in all; false: there are no more. */
export function takeRequest({ requests, taken }: Assignment): boolean {
  return requests === Number.POSITIVE_INFINITY || Number(Atomics.add(taken, 0, 1n)) < requests;
}

/** Whether all requests that may be sent are taken. */
export function isSpent({ requests, taken }: Assignment): boolean {
  return requests !== Number.POSITIVE_INFINITY && Number(Atomics.load(taken, 0)) >= requests;
}

/** Keeps where the threads have to connect to. @param sockaddr a struct sockaddr */
export function tellAddress({ address }: Pick<Assignment, 'address'>, sockaddr: Uint8Array): void {
  address.set(sockaddr, 1);
  address[0] = sockaddr.length;
}

/** What tellAddress() was told. */
export function addressOf({ address }: Assignment): Uint8Array {
  return address.slice(1, 1 + (address[0] ?? 0));
}

/** How many of the `first` requests under way are counted ones: not of the warm-up. */
export function countedOf({ records, times, pipelining }: Assignment, at: number, first: number): number {
  let counted = 0;
  for (let i = 0; i < first; i++) {
    const place = ((records[at + OLDEST] ?? 0) + i) % pipelining;
    if ((records[at + RING + ENTRY * place + FROM] ?? 0) >= (times[COUNT_FROM] ?? 0)) counted++;
  }
  return counted;
}

/** Counts errors; the one that is too much ends the test, for every thread at once. */
export function fault({ faults, stopAfter, times }: Assignment, count: number, now: number): void {
  if (stopAfter === Number.POSITIVE_INFINITY || count === 0) return;
  if (Atomics.add(faults, 0, count) + count < stopAfter) return;
  times[END] = Math.min(now, times[END] ?? now);
  times[DEADLINE] = Math.min(now, times[DEADLINE] ?? now);
}

/** Whether there are too many errors. */
export function isFaulty({ faults, stopAfter }: Assignment): boolean {
  return Atomics.load(faults, 0) >= stopAfter;
}
