/**
 * The demo's shared memory, both sides of it: what the sender has sent, what the handlers have handled, and who is in
 * which connection. All figures of the demo come from here.
 */

export interface LedgerPlan {
  readonly threads: number;
  readonly connections: number;
  readonly messages: number;
  readonly memory: SharedArrayBuffer;
  /** What each connection has received and not yet handled. */
  readonly inboxes: SharedArrayBuffer;
}

/** Bytes of a connection's inbox: more than all that is ever in flight to it. */
export const INBOX = 8192;

/** Words of the header. */
export const STOP = 0;
/** Threads that have loaded what they need, and threads that wait. */
export const LOADED = 1;
export const READY = 2;
/** Which thread takes the next place. */
const NEXT_THREAD = 3;
const HEADER_WORDS = 16;

/** Words of a thread: messages handled for the first time, or again. */
export const HANDLED = 0;
export const DOUBLED = 1;
/** Stretches of bytes that are no message: pieces of torn ones. */
export const TORN = 2;
/** Messages that came after a later one of the same connection. */
export const DISORDERED = 3;
/** Times that this thread entered a connection that another thread was in. */
export const OVERLAPS = 4;
/** Times that this thread was woken for a connection and found nothing to read. */
export const EMPTY = 5;
/** epoll_ctl calls. */
export const CONTROLS = 6;
const FIELDS = 7;
/** A cache line apart. */
const THREAD_WORDS = 16;

export function createLedger(threads: number, connections: number, messages: number): LedgerPlan {
  const words = HEADER_WORDS + threads * THREAD_WORDS + 4 * connections + messages;
  return {
    threads,
    connections,
    messages,
    memory: new SharedArrayBuffer(words * 4),
    inboxes: new SharedArrayBuffer(connections * INBOX),
  };
}

export class Ledger {
  readonly plan: LedgerPlan;
  readonly header: Int32Array;
  readonly #threads: Int32Array;
  /** By connection: messages sent. */
  readonly sent: Int32Array;
  /** By connection: how many threads are in it. */
  readonly inside: Int32Array;
  /** By connection: 1 + the sequence number that was handled last. */
  readonly last: Int32Array;
  /** By connection: how much is in its inbox. */
  readonly received: Int32Array;
  /** By message: how often it was handled. */
  readonly seen: Int32Array;

  constructor(plan: LedgerPlan) {
    this.plan = plan;
    const { threads, connections, messages, memory } = plan;
    let at = 0;
    const take = (words: number): Int32Array => {
      const view = new Int32Array(memory, at * 4, words);
      at += words;
      return view;
    };
    this.header = take(HEADER_WORDS);
    this.#threads = take(threads * THREAD_WORDS);
    this.sent = take(connections);
    this.inside = take(connections);
    this.last = take(connections);
    this.received = take(connections);
    this.seen = take(messages);
  }

  inbox(connection: number): Uint8Array {
    return new Uint8Array(this.plan.inboxes, connection * INBOX, INBOX);
  }

  /** Where the connection's messages begin in `seen`. */
  firstOf(connection: number): number {
    const { connections, messages } = this.plan;
    return connection * Math.floor(messages / connections) + Math.min(connection, messages % connections);
  }

  /** How many messages the connection is to get. */
  quotaOf(connection: number): number {
    return this.firstOf(connection + 1) - this.firstOf(connection);
  }

  /** A place for the calling thread; a thread that takes another's place begins anew. */
  join(): Int32Array {
    return this.threadAt(Atomics.add(this.header, NEXT_THREAD, 1) % this.plan.threads);
  }

  threadAt(index: number): Int32Array {
    return this.#threads.subarray(index * THREAD_WORDS, (index + 1) * THREAD_WORDS);
  }

  /** One field, of all threads. */
  total(field: number): number {
    let sum = 0;
    for (let i = 0; i < this.plan.threads; i++) sum += Atomics.load(this.#threads, i * THREAD_WORDS + field);
    return sum;
  }

  totalSent(): number {
    let sum = 0;
    for (const sent of this.sent) sum += sent;
    return sum;
  }

  /** A number that changes whenever something moves. */
  movement(): number {
    let sum = this.totalSent();
    for (let field = 0; field < FIELDS; field++) if (field !== EMPTY) sum += this.total(field);
    return sum;
  }

  get stopping(): boolean {
    return Atomics.load(this.header, STOP) !== 0;
  }
}
