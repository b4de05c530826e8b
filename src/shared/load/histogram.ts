/** Counts latencies in buckets whose width grows with the latency. Can lie in memory that threads share. */
import { integer } from '../arguments.js';
import { invalidType, outOfRange } from '../errors.js';

/** Buckets in each doubling of the latency: a bucket's middle is at most 1/256 off what is in it. */
const STEPS = 128;
const STEP_BITS = 7;
/** The first bucket begins at 2^-4 µs, the last ends at 2^34 µs (4.7 hours). */
const LOWEST_EXPONENT = -4;
const HIGHEST_EXPONENT = 34;
const BUCKETS = (HIGHEST_EXPONENT - LOWEST_EXPONENT) * STEPS;
const LOWEST = 2 ** LOWEST_EXPONENT;
/** Microseconds that JSON may have, a sum's too: more is none of time. */
const MOST = 1e24;

// The words before the buckets.
const COUNT = 0;
const SUM = 1;
const MIN = 2;
const MAX = 3;
const HEADER = 4;

/** A double, and its upper half: exponent, then the first bits of the fraction, which together are a bucket's number. */
const double = new Float64Array(1);
const halves = new Uint32Array(double.buffer);
const UPPER = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
const SHIFT = 20 - STEP_BITS;
const FIRST = (1023 + LOWEST_EXPONENT) << STEP_BITS;

/** A histogram in JSON: everything that is in it. Microseconds. */
export interface HistogramJSON {
  readonly unit: 'us';
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Where each bucket that is not empty begins, and how many are in it, in rising order. */
  readonly buckets: ReadonlyArray<readonly [from: number, count: number]>;
}

/** One point of a histogram's curve: `percentile` (0 to 100) of all took at most `us`. */
export interface PercentilePoint {
  readonly percentile: number;
  readonly us: number;
}

/**
 * Latencies in microseconds; what it answers is within 0.4% of what was recorded from 1/16 µs to 4.7 hours, and min, max and
 * mean are exact. One thread records; any thread may read meanwhile, and is then short of what was recorded just now.
 */
export class Histogram {
  static readonly BUCKETS = BUCKETS;
  /** Size of its memory in bytes. */
  static readonly BYTES = (HEADER + BUCKETS) * Float64Array.BYTES_PER_ELEMENT;

  readonly #words: Float64Array;

  /**
   * @param memory where it lies, such as a SharedArrayBuffer; zeros are an empty histogram, and what is there is kept
   * @param offset in bytes, a multiple of 8
   * @throws RangeError if there are fewer than BYTES
   */
  constructor(memory: ArrayBuffer | SharedArrayBuffer = new ArrayBuffer(Histogram.BYTES), offset = 0) {
    this.#words = new Float64Array(memory, offset, HEADER + BUCKETS);
  }

  get count(): number {
    return this.#words[COUNT] ?? 0;
  }

  /** Microseconds, exact; 0 when empty. */
  get min(): number {
    return this.#words[MIN] ?? 0;
  }

  /** Microseconds, exact; 0 when empty. */
  get max(): number {
    return this.#words[MAX] ?? 0;
  }

  /** Microseconds; 0 when empty. */
  get mean(): number {
    return this.count === 0 ? 0 : (this.#words[SUM] ?? 0) / this.count;
  }

  /** Standard deviation in microseconds, from the buckets; 0 when empty. */
  get stddev(): number {
    const { mean } = this;
    let total = 0;
    let count = 0;
    for (let i = 0; i < BUCKETS; i++) {
      const n = this.#words[HEADER + i] ?? 0;
      if (n === 0) continue;
      total += n * (this.#middle(i) - mean) ** 2;
      count += n;
    }
    return count === 0 ? 0 : Math.sqrt(total / count);
  }

  /** Counts one latency. Allocates nothing. What is no finite number above 0 counts as 0. */
  record(us: number): void {
    const value = us > 0 && us < Number.POSITIVE_INFINITY ? us : 0;
    const words = this.#words;
    const bucket = HEADER + indexOf(value);
    const count = words[COUNT] ?? 0;
    words[bucket] = (words[bucket] ?? 0) + 1;
    words[SUM] = (words[SUM] ?? 0) + value;
    if (count === 0 || value < (words[MIN] ?? 0)) words[MIN] = value;
    if (value > (words[MAX] ?? 0)) words[MAX] = value;
    words[COUNT] = count + 1;
  }

  /** Adds what another has recorded. */
  add(other: Histogram): void {
    if (other.count === 0) return;
    const [to, from] = [this.#words, other.#words];
    const [min, max] = [other.min, other.max];
    if (this.count === 0 || min < this.min) to[MIN] = min;
    if (max > this.max) to[MAX] = max;
    to[SUM] = (to[SUM] ?? 0) + (from[SUM] ?? 0);
    let count = 0;
    for (let i = HEADER; i < HEADER + BUCKETS; i++) {
      const n = from[i] ?? 0;
      if (n === 0) continue;
      to[i] = (to[i] ?? 0) + n;
      count += n;
    }
    // What the buckets say: the other's thread may be recording.
    to[COUNT] = this.count + count;
  }

  /** Adds what is in each bucket to `counts`, which has BUCKETS of them. */
  addTo(counts: Float64Array): void {
    for (let i = 0; i < BUCKETS; i++) counts[i] = (counts[i] ?? 0) + (this.#words[HEADER + i] ?? 0);
  }

  /** The middle of a bucket, in microseconds. */
  static middleOf(bucket: number): number {
    return (lowerEdge(bucket) + lowerEdge(bucket + 1)) / 2;
  }

  reset(): void {
    this.#words.fill(0);
  }

  /**
   * What each of these shares of all latencies did not exceed, in microseconds; 0s when empty.
   *
   * @param shares percentiles from 0 to 100, in rising order
   */
  percentiles(shares: readonly number[]): number[] {
    const total = this.#total();
    const found: number[] = [];
    let seen = 0;
    let i = -1;
    for (const share of shares) {
      if (!(share >= 0 && share <= 100)) throw outOfRange('percentile', 'from 0 to 100', share);
      // A share such as 99.9 is no exact double, and must not count one latency too many.
      const rank = Math.max(1, Math.ceil((share / 100) * total - 1e-9 * total));
      if (total === 0) found.push(0);
      else if (rank >= total) found.push(this.max);
      else {
        while (seen < rank && i < BUCKETS - 1) seen += this.#words[HEADER + ++i] ?? 0;
        found.push(this.#middle(i));
      }
    }
    return found;
  }

  /** What a share of all latencies (0 to 100) did not exceed, in microseconds. */
  percentile(share: number): number {
    return this.percentiles([share])[0] ?? 0;
  }

  /** The whole curve, a point for each bucket that is not empty; ends at 100 with the maximum. */
  curve(): PercentilePoint[] {
    const total = this.#total();
    const points: PercentilePoint[] = [];
    let seen = 0;
    for (let i = 0; i < BUCKETS && seen < total; i++) {
      const n = this.#words[HEADER + i] ?? 0;
      if (n === 0) continue;
      seen += n;
      points.push({ percentile: (seen / total) * 100, us: seen >= total ? this.max : this.#middle(i) });
    }
    return points;
  }

  toJSON(): HistogramJSON {
    const buckets: Array<[number, number]> = [];
    for (let i = 0; i < BUCKETS; i++) {
      const n = this.#words[HEADER + i] ?? 0;
      if (n !== 0) buckets.push([lowerEdge(i), n]);
    }
    const count = buckets.reduce((sum, [, n]) => sum + n, 0);
    return { unit: 'us', count, sum: this.#words[SUM] ?? 0, min: this.min, max: this.max, buckets };
  }

  /**
   * @param name what errors call it
   * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE: what toJSON() cannot have given
   */
  static fromJSON(json: unknown, name = 'histogram'): Histogram {
    const histogram = new Histogram();
    const words = histogram.#words;
    const { unit, count, sum, min, max, buckets } = fields(json, name);
    if (unit !== 'us') throw outOfRange(`${name}.unit`, "'us'", unit);
    if (!Array.isArray(buckets)) throw invalidType(`${name}.buckets`, 'an array', buckets);
    let total = 0;
    for (const bucket of buckets) {
      if (!Array.isArray(bucket)) throw invalidType(`${name}.buckets`, 'an array of pairs', bucket);
      const [from, n]: unknown[] = bucket;
      const index = HEADER + indexOf(measure(from, `${name}.buckets[][0]`));
      const more = integer(n, `${name}.buckets[][1]`, 1, Number.MAX_SAFE_INTEGER);
      words[index] = (words[index] ?? 0) + more;
      total += more;
    }
    if (total !== count) throw outOfRange(`${name}.count`, `the sum of its buckets, ${total}`, count);
    words[COUNT] = total;
    words[SUM] = measure(sum, `${name}.sum`);
    words[MIN] = measure(min, `${name}.min`);
    words[MAX] = measure(max, `${name}.max`);
    if (histogram.min > histogram.max) throw outOfRange(`${name}.min`, `at most ${name}.max`, min);
    return histogram;
  }

  #total(): number {
    let total = 0;
    for (let i = HEADER; i < HEADER + BUCKETS; i++) total += this.#words[i] ?? 0;
    return total;
  }

  #middle(index: number): number {
    return Math.min(this.max, Math.max(this.min, (lowerEdge(index) + lowerEdge(index + 1)) / 2));
  }
}

function indexOf(us: number): number {
  if (us < LOWEST) return 0;
  double[0] = us;
  return Math.min(((halves[UPPER] ?? 0) >>> SHIFT) - FIRST, BUCKETS - 1);
}

/** In microseconds; the first bucket also holds what is below it. */
function lowerEdge(index: number): number {
  return 2 ** (LOWEST_EXPONENT + Math.floor(index / STEPS)) * (1 + (index % STEPS) / STEPS);
}

function fields(json: unknown, name: string): Partial<Record<keyof HistogramJSON, unknown>> {
  if (typeof json !== 'object' || json === null) throw invalidType(name, 'an object', json);
  return json;
}

function measure(value: unknown, name: string): number {
  if (typeof value !== 'number') throw invalidType(name, 'a number', value);
  if (!(value >= 0 && value <= MOST)) throw outOfRange(name, `from 0 to ${MOST}`, value);
  return value;
}
