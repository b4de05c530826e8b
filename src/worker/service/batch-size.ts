/**
 * How many events a thread takes at once. Many are cheap to fetch together, but those behind a slow handler would wait
 * while other threads idle: as many as fit into 100 µs of the handler's measured time, beginning with one.
 */
const TARGET_MS = 0.1;
/** Runs this long are not to follow one another for one registration while others wait. */
const LONG_MS = 1;
/** Runs this long cost about what it costs to wake a thread for them. */
const CHEAP_MS = 0.02;
/** How slowly one slow run is forgotten. */
const MEMORY = 16;

export class BatchSize {
  readonly #most: number;
  readonly #fixed: boolean;
  #mean = 0;
  #size = 1;

  /** @param fixed nothing is run here: always as many as allowed */
  constructor(most: number, fixed: boolean) {
    this.#most = most;
    this.#fixed = fixed;
    if (fixed) this.#size = most;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether runs are known to be so short that one thread does well to take many, and the others to sleep on. */
  get isCheap(): boolean {
    return this.#mean > 0 && this.#mean < CHEAP_MS;
  }

  /** Whether runs are known to be so short that a few looks for more are little beside them. */
  get isShort(): boolean {
    return this.#mean > 0 && this.#mean <= TARGET_MS;
  }

  /** Whether one run takes so long that another thread, if one is free, should have the next. */
  get isSlow(): boolean {
    return this.#mean > TARGET_MS;
  }

  /** Whether one run takes so long that whatever has waited longer should come first. */
  get isLong(): boolean {
    return this.#mean > LONG_MS;
  }

  /** `runs` handlers took `milliseconds` together. */
  measured(milliseconds: number, runs: number): void {
    if (this.#fixed) return;
    const each = milliseconds / runs;
    // Up at once, down slowly: where some handlers are slow, the next may be.
    this.#mean = each > this.#mean ? each : this.#mean + (each - this.#mean) / MEMORY;
    const fits = Math.floor(TARGET_MS / Math.max(this.#mean, 1e-6));
    this.#size = Math.max(1, Math.min(this.#most, this.#size * 2, fits));
  }
}
