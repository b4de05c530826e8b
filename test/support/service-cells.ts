/** Shared memory between a test and the handler of test/fixtures/steered.mjs: what ran, and gates that hold it up. */
const WORDS = 8;
const RUNS = 0;
const ENDS = 1;
const GATE = 2;
const OVERLAPS = 3;
const MASK = 4;
const BYTES = 5;
const THREAD = 7;

/** The handler module that goes with it; a registration's data is the number of its cell. */
export const STEERED = new URL('../fixtures/steered.mjs', import.meta.url);

export class Cells {
  readonly #words: Int32Array;

  constructor(count = 64) {
    this.#words = new Int32Array(new SharedArrayBuffer(count * WORDS * 4));
  }

  /** For handlerData. `take`: how many bytes a run reads, 'all' until it would block, 'none'. */
  data(take: number | 'all' | 'none' = 'all'): { words: Int32Array; take: number | 'all' | 'none' } {
    return { words: this.#words, take };
  }

  /** How many runs have begun. */
  runs(i: number): number {
    return this.#get(i, RUNS);
  }

  /** How many runs have returned. */
  ends(i: number): number {
    return this.#get(i, ENDS);
  }

  /** How often a run found another one under way. */
  overlaps(i: number): number {
    return this.#get(i, OVERLAPS);
  }

  /** The mask of the last run. */
  mask(i: number): number {
    return this.#get(i, MASK) >>> 0;
  }

  bytes(i: number): number {
    return this.#get(i, BYTES);
  }

  /** The id of the thread of the last run. */
  thread(i: number): number {
    return this.#get(i, THREAD);
  }

  /** Runs wait, after they have begun, until `open`. */
  shut(i: number): void {
    Atomics.store(this.#words, i * WORDS + GATE, 1);
  }

  open(i: number): void {
    Atomics.store(this.#words, i * WORDS + GATE, 0);
    Atomics.notify(this.#words, i * WORDS + GATE);
  }

  #get(i: number, field: number): number {
    return Atomics.load(this.#words, i * WORDS + field);
  }
}
