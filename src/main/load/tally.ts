/** Adds up what the threads of a load test count, and counts itself what only the main thread sees. */
import * as B from '../../shared/load/board.js';
import { Histogram } from '../../shared/load/histogram.js';
import { LatencySeries } from './latency-series.js';
import type { ErrorKind, TimeSeries } from './result.js';

/** A series that has become longer is drawn together, ten intervals to one. */
const LONGEST_SERIES = 600;
const FIRST_INTERVAL = 100;
const COARSER = 10;
/** Of an interval: the clock's noise. */
const EXACT = 1e-6;
const KEYS = ['responses', 'bytes', 'errors'] as const;

export class Tally {
  readonly errors: Record<ErrorKind, number> = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 };
  /** When the last error was counted, by clock(). */
  lastError = 0;
  /** Connections that could not be made, and took the place of a request. */
  refused = 0;
  readonly #board: B.Assignment;
  readonly #threads: B.ThreadCounts[] = [];
  readonly #details = new Map<string, number>();
  /** Requests that will not be answered, those of the warm-up too. */
  #lost = 0;
  #interval = FIRST_INTERVAL;
  readonly #series = { responses: [0], bytes: [0], errors: [0] };
  #sampled = 0;
  readonly #latencies = new LatencySeries();
  readonly #before = { responses: 0, bytes: 0, errors: 0 };

  /** Of requests that timed out, if they count. */
  readonly #waited: Histogram | undefined;

  constructor(board: B.Assignment, timeoutsCount: boolean) {
    this.#board = board;
    this.#waited = timeoutsCount ? new Histogram() : undefined;
  }

  /** @param lost requests that will not be answered @param counted how many errors that makes */
  fail(kind: ErrorKind, detail: string, lost: number, counted: number, now: number): void {
    this.#lost += lost;
    if (counted === 0) return;
    this.lastError = now;
    this.errors[kind] += counted;
    this.#details.set(detail, (this.#details.get(detail) ?? 0) + counted);
  }

  /** What is under way at this connection has waited too long: so long it took, at least. */
  timedOut(at: number, now: number): void {
    if (this.#waited === undefined) return;
    const { records, times, pipelining } = this.#board;
    const lost = records[at + B.UNDER_WAY] ?? 0;
    for (let i = 0; i < lost; i++) {
      const place = ((records[at + B.OLDEST] ?? 0) + i) % pipelining;
      const from = records[at + B.RING + B.ENTRY * place + B.FROM] ?? 0;
      if (from >= (times[B.COUNT_FROM] ?? 0)) this.#waited.record((now - from) * 1000);
    }
  }

  /** One count of all threads together. */
  sum(field: number): number {
    let total = 0;
    for (const { counts } of this.threads) total += counts[field] ?? 0;
    return total;
  }

  get threads(): readonly B.ThreadCounts[] {
    while (this.#threads.length < B.threadsBegun(this.#board)) {
      this.#threads.push(B.countsOf(this.#board, this.#threads.length));
    }
    return this.#threads;
  }

  /** Requests begun, and neither answered nor lost: never fewer than there are. */
  get underWay(): number {
    const settled = this.#lost + this.sum(B.ANSWERED);
    return this.sum(B.BEGUN) - settled;
  }

  /** When the last response came. */
  get last(): number {
    return this.most(B.LAST);
  }

  /** The largest of all threads' counts. */
  most(field: number): number {
    return Math.max(0, ...this.threads.map(({ counts }) => counts[field] ?? 0));
  }

  get errorCount(): number {
    return Object.values(this.allErrors()).reduce((sum, count) => sum + count, 0);
  }

  /** Those too that the threads count themselves. */
  allErrors(): Record<ErrorKind, number> {
    return { ...this.errors, status: this.sum(B.UNEXPECTED), check: this.sum(B.REFUSED) + this.sum(B.THROWN) };
  }

  histogram(): Histogram {
    const all = new Histogram();
    for (const histogram of this.#histograms()) all.add(histogram);
    return all;
  }

  /** Of TLS, how long they took. */
  handshakes(): Histogram {
    const all = new Histogram();
    for (const { handshakes } of this.threads) all.add(handshakes);
    return all;
  }

  #histograms(): Histogram[] {
    const all = this.threads.map(({ histogram }) => histogram);
    return this.#waited === undefined ? all : [...all, this.#waited];
  }

  /**
   * Puts what has come since the last sample where it belongs; a sample that is late is spread over the intervals since.
   *
   * @param elapsed milliseconds since counting began
   */
  sample(elapsed: number): void {
    const from = Math.min(this.#sampled, elapsed);
    this.#sampled = elapsed;
    const now = {
      responses: this.sum(B.RESPONSES),
      bytes: this.sum(B.BYTES_RECEIVED),
      errors: this.errorCount,
    };
    const first = Math.floor(from / this.#interval);
    const last = Math.max(first, Math.ceil(elapsed / this.#interval) - 1);
    for (const key of KEYS) {
      const to = this.#series[key];
      const all = now[key] - this.#before[key];
      this.#before[key] = now[key];
      let put = 0;
      for (let i = first; i <= last; i++) {
        const part = (Math.min(elapsed, (i + 1) * this.#interval) - from) / (elapsed - from);
        const upTo = i === last ? all : Math.round(all * part);
        while (to.length <= i) to.push(0);
        to[i] = (to[i] ?? 0) + upTo - put;
        put = upTo;
      }
    }
    // Percentiles cannot be spread: they belong where most of the time since the last sample was.
    this.#latencies.sample(Math.min(last, Math.floor((from + elapsed) / 2 / this.#interval)), this.#histograms());
    if (last >= LONGEST_SERIES) this.#coarsen();
  }

  /**
   * The test has ended after so many milliseconds: what was put behind that, as the threads were heard a little later, belongs
   * to the last interval before it.
   */
  end(elapsed: number): void {
    const length = Math.max(1, Math.ceil(elapsed / this.#interval - EXACT));
    this.#latencies.cut(length);
    for (const key of KEYS) {
      const series = this.#series[key];
      const behind = series.splice(length).reduce((sum, n) => sum + n, 0);
      series[length - 1] = (series[length - 1] ?? 0) + behind;
    }
  }

  #coarsen(): void {
    this.#interval *= COARSER;
    this.#latencies.coarsen(COARSER);
    for (const key of KEYS) {
      const series = this.#series[key];
      const fewer = series.splice(0);
      for (let i = 0; i < fewer.length; i += COARSER) {
        series.push(fewer.slice(i, i + COARSER).reduce((sum, n) => sum + n, 0));
      }
    }
  }

  get series(): TimeSeries {
    const { length } = this.#series.responses;
    return {
      interval: this.#interval,
      ...this.#series,
      p50: this.#latencies.percentiles(0.5, length),
      p99: this.#latencies.percentiles(0.99, length),
    };
  }

  /** Responses by status code. */
  statuses(): Record<string, number> {
    const found: Record<string, number> = {};
    for (let code = 0; code < 1000; code++) {
      const count = code === 0 ? 0 : this.sum(B.STATUSES + code);
      if (count > 0) found[code] = count;
    }
    return found;
  }

  details(): Record<string, number> {
    const { expected } = this.#board;
    const all = new Map(this.#details);
    for (const [code, count] of Object.entries(this.statuses())) {
      if (expected[Number(code)] !== 1) all.set(`status ${code}`, count);
    }
    const checks = { 'check refused the answer': this.sum(B.REFUSED), 'check threw': this.sum(B.THROWN) };
    for (const [what, count] of Object.entries(checks)) if (count > 0) all.set(what, count);
    return Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
