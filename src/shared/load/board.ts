/** What the threads of a load test share: times, counts by thread, and a record of each connection. */
import { Histogram } from './histogram.js';
import { ResponseFramer } from './http-response.js';
import { IdleQueue } from './idle-queue.js';
import { KEPT_BYTES } from './protocol.js';
import { planSchedule, type SchedulePlan } from './schedule.js';

// ---- times, by clock() ------------------------------------------------------------------------------------
/** Requests sent (or due) from then on are counted. */
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
/** By status code, 0 to 999. */
export const STATUSES = 10;
const COUNTS = STATUSES + 1000;
/** Bytes of one thread's part: its counts, then its histogram. */
const THREAD_BYTES = COUNTS * 8 + Histogram.BYTES;

// ---- a connection's record: doubles -----------------------------------------------------------------------
/** One of the states below; the main thread writes it while no handler runs. */
export const STATE = 0;
/** Set by the main thread: leave it alone as soon as you can. */
export const DOOMED = 1;
export const FD = 2;
/** How often it was opened. */
export const EPOCH = 3;
/** Requests begun and not answered; of these, the last so many are not wholly written. */
export const UNDER_WAY = 4;
export const UNWRITTEN = 5;
/** Of the first of those: how many bytes are written. */
export const WRITTEN = 6;
/** Where in the ring the oldest is. */
export const OLDEST = 7;
/** 1 while it is in the idle queue. */
export const QUEUED = 8;
/** 1 once it has answered since it was opened. */
export const SERVED = 9;
export const FRAMING = 10;
/** A ring for each request under way: from when its latency counts, and when it was begun. */
export const RING = FRAMING + ResponseFramer.WORDS;

/** No connection. */
export const CLOSED = 0;
export const OPEN = 1;
/** A handler has done with it, and the main thread is told. */
export const DONE = 2;

/** Bytes of shared state that the service keeps for a registration: which connection it is. */
export const STATE_BYTES = 4;
/** The registration's data: the timer's, and that of connection 0. */
export const TIMER_DATA = 1;
export const FIRST_DATA = 2;

/** What the handler posts when it has done with a connection. */
export interface Parting {
  readonly id: number;
  readonly epoch: number;
  /** Empty: the server closes, as it said; `reset` or `protocol` otherwise. */
  readonly kind: '' | 'reset' | 'protocol';
  readonly detail: string;
  /** Requests that will not be answered; of these, the counted ones. */
  readonly lost: number;
  readonly counted: number;
}

export function isParting(value: unknown): value is Parting {
  return typeof value === 'object' && value !== null && 'id' in value && 'epoch' in value;
}

/** What every thread is given. */
export interface Assignment {
  readonly threads: number;
  readonly pipelining: number;
  /** Infinity: no limit. */
  readonly requests: number;
  readonly request: Uint8Array;
  readonly protocol: 'http' | 'echo' | 'module';
  /** For import(). */
  readonly module: string | undefined;
  /** Whether responses have no body. */
  readonly head: boolean;
  readonly expected: Uint8Array;
  readonly stride: number;
  readonly times: Float64Array;
  readonly counts: SharedArrayBuffer;
  /** How many threads have begun; how many requests of the limit are taken. */
  readonly begun: Int32Array;
  readonly taken: BigInt64Array;
  readonly records: Float64Array;
  /** Of a module's protocol: bytes that a connection keeps, KEPT_BYTES of what came and as many of what is to go. */
  readonly kept: SharedArrayBuffer;
  /** Of an open loop. */
  readonly schedule: SchedulePlan | undefined;
  readonly owners: Int32Array;
  readonly idle: Int32Array;
}

/** A thread that died is replaced by one that counts for itself: room for some of them. */
const SPARE_THREADS = 16;

export type BoardPlan = Pick<
  Assignment,
  'threads' | 'pipelining' | 'requests' | 'request' | 'protocol' | 'module' | 'head' | 'expected'
> & { readonly connections: number; readonly rate: number };

export function createBoard(plan: BoardPlan): Assignment {
  const { connections, rate, ...rest } = plan;
  const stride = RING + 2 * plan.pipelining;
  const times = new Float64Array(new SharedArrayBuffer(TIMES * 8));
  times.fill(Number.POSITIVE_INFINITY);
  const kept = plan.protocol === 'module' ? connections * 2 * KEPT_BYTES : 0;
  return {
    ...rest,
    stride,
    times,
    counts: new SharedArrayBuffer((plan.threads + SPARE_THREADS) * THREAD_BYTES),
    begun: new Int32Array(new SharedArrayBuffer(4)),
    taken: new BigInt64Array(new SharedArrayBuffer(8)),
    records: new Float64Array(new SharedArrayBuffer(connections * stride * 8)),
    kept: new SharedArrayBuffer(kept),
    schedule: rate > 0 ? planSchedule(rate) : undefined,
    owners: new Int32Array(new SharedArrayBuffer(connections * 4)),
    idle: IdleQueue.create(rate > 0 ? connections : 0),
  };
}

/** One thread's counts and histogram. @param index from 0 */
export function countsOf({ counts }: Assignment, index: number): { counts: Float64Array; histogram: Histogram } {
  const at = index * THREAD_BYTES;
  return { counts: new Float64Array(counts, at, COUNTS), histogram: new Histogram(counts, at + COUNTS * 8) };
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

/** Takes one of the requests that may be sent in all; false: there are no more. */
export function takeRequest({ requests, taken }: Assignment): boolean {
  return requests === Number.POSITIVE_INFINITY || Number(Atomics.add(taken, 0, 1n)) < requests;
}

/** Whether all requests that may be sent are taken. */
export function isSpent({ requests, taken }: Assignment): boolean {
  return requests !== Number.POSITIVE_INFINITY && Number(Atomics.load(taken, 0)) >= requests;
}
