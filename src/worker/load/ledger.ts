/** Counts what one thread begins and has answered, in shared memory that it alone writes. */
import * as B from '../../shared/load/board.js';
import type { Histogram } from '../../shared/load/histogram.js';

export class Ledger {
  readonly counts: Float64Array;
  readonly #histogram: Histogram;
  readonly #records: Float64Array;
  readonly #times: Float64Array;
  readonly #pipelining: number;
  readonly #size: number;
  readonly #expected: Uint8Array;
  readonly #http: boolean;

  constructor(board: B.Assignment, counts: Float64Array, histogram: Histogram) {
    this.counts = counts;
    this.#histogram = histogram;
    this.#records = board.records;
    this.#times = board.times;
    this.#pipelining = board.pipelining;
    // What a module's requests are long is known when they are written.
    this.#size = board.protocol === 'module' ? 0 : board.request.length;
    this.#expected = board.expected;
    this.#http = board.protocol === 'http';
  }

  /** A request is to be written. @param from when its latency begins: now, or when it was due */
  begin(at: number, from: number, now: number): void {
    const records = this.#records;
    const { counts } = this;
    const underWay = records[at + B.UNDER_WAY] ?? 0;
    let place = (records[at + B.OLDEST] ?? 0) + underWay;
    if (place >= this.#pipelining) place -= this.#pipelining;
    records[at + B.RING + 2 * place] = from;
    records[at + B.RING + 2 * place + 1] = now;
    counts[B.BEGUN] = (counts[B.BEGUN] ?? 0) + 1;
    if (from >= (this.#times[B.COUNT_FROM] ?? 0)) {
      counts[B.REQUESTS] = (counts[B.REQUESTS] ?? 0) + 1;
      counts[B.BYTES_SENT] = (counts[B.BYTES_SENT] ?? 0) + this.#size;
    }
    records[at + B.UNDER_WAY] = underWay + 1;
    records[at + B.UNWRITTEN] = (records[at + B.UNWRITTEN] ?? 0) + 1;
  }

  /** The oldest request that is under way has its response. */
  answered(at: number, now: number, status: number, bytes: number): void {
    const records = this.#records;
    const { counts } = this;
    const oldest = records[at + B.OLDEST] ?? 0;
    const from = records[at + B.RING + 2 * oldest] ?? 0;
    records[at + B.OLDEST] = oldest + 1 === this.#pipelining ? 0 : oldest + 1;
    records[at + B.UNDER_WAY] = (records[at + B.UNDER_WAY] ?? 0) - 1;
    records[at + B.SERVED] = 1;
    if (from >= (this.#times[B.COUNT_FROM] ?? 0)) {
      this.#histogram.record((now - from) * 1000);
      counts[B.RESPONSES] = (counts[B.RESPONSES] ?? 0) + 1;
      counts[B.BYTES_RECEIVED] = (counts[B.BYTES_RECEIVED] ?? 0) + bytes;
      counts[B.LAST] = now;
      if (this.#http) {
        counts[B.STATUSES + status] = (counts[B.STATUSES + status] ?? 0) + 1;
        if (this.#expected[status] !== 1) counts[B.UNEXPECTED] = (counts[B.UNEXPECTED] ?? 0) + 1;
      }
    }
    // Last: once all that was begun is answered, the main thread reads the counts.
    counts[B.ANSWERED] = (counts[B.ANSWERED] ?? 0) + 1;
  }

  /** A request was sent long after it was due, though a connection was free. */
  late(): void {
    this.counts[B.LATE] = (this.counts[B.LATE] ?? 0) + 1;
  }
}
