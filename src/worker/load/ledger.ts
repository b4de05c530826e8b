/** Counts what one thread begins and has answered, in shared memory that it alone writes. */
import * as B from '../../shared/load/board.js';
import type { Histogram } from '../../shared/load/histogram.js';
import { type Judgement, REFUSED, RIGHT } from './checker.js';
import type { Writer } from './writer.js';

export class Ledger {
  readonly counts: Float64Array;
  readonly #histogram: Histogram;
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #times: Float64Array;
  readonly #pipelining: number;
  readonly #expected: Uint8Array;
  readonly #http: boolean;
  readonly #writer: Writer;
  #told = false;

  constructor(board: B.Assignment, counts: Float64Array, histogram: Histogram, writer: Writer) {
    this.counts = counts;
    this.#histogram = histogram;
    this.#board = board;
    this.#records = board.records;
    this.#times = board.times;
    this.#pipelining = board.pipelining;
    this.#expected = board.expected;
    this.#http = board.protocol === 'http';
    this.#writer = writer;
  }

  /** A request is to be written. @param from when its latency begins: now, or when it was due */
  begin(at: number, from: number, now: number): void {
    const records = this.#records;
    const { counts } = this;
    const underWay = records[at + B.UNDER_WAY] ?? 0;
    let place = (records[at + B.OLDEST] ?? 0) + underWay;
    if (place >= this.#pipelining) place -= this.#pipelining;
    const entry = at + B.RING + B.ENTRY * place;
    const traits = this.#writer.prepare(at, place);
    records[entry + B.FROM] = from;
    records[entry + B.BEGUN_AT] = now;
    records[entry + B.TRAITS] = traits;
    if ((traits & B.CLOSES) !== 0) records[at + B.LAST_BEGUN] = 1;
    counts[B.BEGUN] = (counts[B.BEGUN] ?? 0) + 1;
    if (from >= (this.#times[B.COUNT_FROM] ?? 0)) {
      counts[B.REQUESTS] = (counts[B.REQUESTS] ?? 0) + 1;
      counts[B.BYTES_SENT] = (counts[B.BYTES_SENT] ?? 0) + this.#writer.size;
    }
    records[at + B.UNDER_WAY] = underWay + 1;
    records[at + B.UNWRITTEN] = (records[at + B.UNWRITTEN] ?? 0) + 1;
  }

  /** Of the oldest request that is under way. */
  traits(at: number): number {
    const records = this.#records;
    return records[at + B.RING + B.ENTRY * (records[at + B.OLDEST] ?? 0) + B.TRAITS] ?? 0;
  }

  /** The oldest request that is under way has its response. */
  answered(at: number, now: number, status: number, bytes: number, judgement: Judgement): void {
    const records = this.#records;
    const { counts } = this;
    const oldest = records[at + B.OLDEST] ?? 0;
    const from = records[at + B.RING + B.ENTRY * oldest + B.FROM] ?? 0;
    records[at + B.OLDEST] = oldest + 1 === this.#pipelining ? 0 : oldest + 1;
    records[at + B.UNDER_WAY] = (records[at + B.UNDER_WAY] ?? 0) - 1;
    records[at + B.SERVED] = 1;
    if (records[at + B.RETRIED] !== 0) records[at + B.RETRIED] = (records[at + B.RETRIED] ?? 0) - 1;
    if (!this.#told) this.#tell();
    if (from >= (this.#times[B.COUNT_FROM] ?? 0)) {
      this.#histogram.record((now - from) * 1000);
      counts[B.RESPONSES] = (counts[B.RESPONSES] ?? 0) + 1;
      counts[B.BYTES_RECEIVED] = (counts[B.BYTES_RECEIVED] ?? 0) + bytes;
      counts[B.LAST] = now;
      if (this.#http) {
        counts[B.STATUSES + status] = (counts[B.STATUSES + status] ?? 0) + 1;
        if (judgement !== RIGHT) this.#error(judgement === REFUSED ? B.REFUSED : B.THROWN, now);
        else if (this.#expected[status] !== 1) this.#error(B.UNEXPECTED, now);
      }
    }
    // Last: once all that was begun is answered, the main thread reads the counts.
    counts[B.ANSWERED] = (counts[B.ANSWERED] ?? 0) + 1;
  }

  #error(count: number, now: number): void {
    this.counts[count] = (this.counts[count] ?? 0) + 1;
    B.fault(this.#board, 1, now);
  }

  #tell(): void {
    this.#told = true;
    Atomics.store(this.#board.answered, 0, 1);
  }

  /** What is under way is going to be sent again, on another connection. */
  again(at: number): void {
    const records = this.#records;
    const underWay = records[at + B.UNDER_WAY] ?? 0;
    const sent = underWay - (records[at + B.UNWRITTEN] ?? 0) + ((records[at + B.WRITTEN] ?? 0) > 0 ? 1 : 0);
    this.counts[B.RETRIES] = (this.counts[B.RETRIES] ?? 0) + B.countedOf(this.#board, at, sent);
    records[at + B.UNWRITTEN] = underWay;
    records[at + B.WRITTEN] = 0;
  }

  /** Whether what is under way may be sent again, and was not before. */
  isRepeatable(at: number): boolean {
    const records = this.#records;
    if (records[at + B.RETRIED] !== 0) return false;
    const underWay = records[at + B.UNDER_WAY] ?? 0;
    for (let i = 0; i < underWay; i++) {
      const place = ((records[at + B.OLDEST] ?? 0) + i) % this.#pipelining;
      if (((records[at + B.RING + B.ENTRY * place + B.TRAITS] ?? 0) & B.IDEMPOTENT) === 0) return false;
    }
    return true;
  }

  /** A request was sent long after it was due, though a connection was free. */
  late(): void {
    this.counts[B.LATE] = (this.counts[B.LATE] ?? 0) + 1;
  }
}
