/**
 * Who gets the next event: how many one thread fetches, what it shares with the others, whether it looks again before it
 * sleeps, or looks after its peers. All of it follows from how long runs take; nothing here touches shared memory.
 *
 *   short runs (to 100 µs)  one thread takes as many as fit into 100 µs, and looks again before it sleeps where that pays
 *   slow runs               each thread fetches one at a time, so that nothing waits behind it; what is to run again goes to the run
 *                           queue, and comes after what the kernel has, but for every sixteenth time
 */

/** What a thread fetches for itself is to fit into this, in milliseconds. */
const SHORT_MS = 0.1;
/** Where runs are slow, so many of the kernel's come before one of the run queue's. */
const OVERTAKERS = 16;
/** How slowly one slow run is forgotten. */
const MEMORY = 16;
/** After this long in one go, what a thread has not begun goes to those that are free. */
const BEHIND_MS = 1;

/** A thread that has not got on for this long leaves what it has to the others. */
export const STUCK_MS = 1;
/** How long after one of its peers had something in hand a thread goes on looking after them. */
const WATCH_MS = 10;
/** How often a thread that has found nothing gives way and looks again before it sleeps. */
const LOOKS = 3;
/** A try that finds something makes up for two that do not; so many are remembered. */
const WORTH = 2;
const MOST_CREDIT = 16;
/** Where it does not pay, it is tried every so often all the same. */
const EVERY = 16;

export class Pace {
  readonly #most: number;
  readonly #isFixed: boolean;
  readonly #slice: number;
  #mean = 0;
  #size = 1;
  #credit = 0;
  #skipped = 0;
  #overtaken = 0;
  #passedOver = 0;

  /**
   * @param most how many events may be fetched at once
   * @param threads how many wait on the instance
   * @param isFixed nothing is run here: always as many as allowed
   */
  constructor(most: number, threads: number, isFixed: boolean) {
    this.#most = most;
    this.#isFixed = isFixed;
    if (isFixed) this.#size = most;
    // A bound for an owner that ends without a word; Node waits for its threads one by one.
    this.#slice = Math.max(20, Math.min(500, Math.floor(1000 / threads)));
  }

  /** `runs` handlers took `milliseconds` together. */
  measured(milliseconds: number, runs: number): void {
    if (this.#isFixed) return;
    const each = milliseconds / runs;
    // Up at once, down slowly: where some handlers are slow, the next may be.
    this.#mean = each > this.#mean ? each : this.#mean + (each - this.#mean) / MEMORY;
    const fits = Math.floor(SHORT_MS / Math.max(this.#mean, 1e-6));
    this.#size = Math.max(1, Math.min(this.#most, this.#size * 2, fits));
  }

  /** How many runs one thread takes at a time, from the kernel or from the run queue. */
  get share(): number {
    return this.#size;
  }

  /**
   * Whether it is the run queue's turn. One that is always ready, and slow, must not have every second turn of a thread.
   *
   * @param hasFetched whether the kernel had something
   */
  takesShared(hasFetched: boolean): boolean {
    this.#overtaken = this.isSlow && hasFetched ? (this.#overtaken + 1) % OVERTAKERS : 0;
    return this.#overtaken === 0;
  }

  /** @param wasDue something was due, and could not be run: what was fetched has as many promises pending as may be */
  passedOver(wasDue: boolean): void {
    this.#passedOver = wasDue ? this.#passedOver + 1 : 0;
  }

  /** Whether what is due comes before what was fetched, for once: that has taken all places so often. */
  get isOverdue(): boolean {
    return this.#passedOver >= OVERTAKERS;
  }

  /** Whether what is to run again goes to the run queue. */
  get isSlow(): boolean {
    return this.#mean > SHORT_MS;
  }

  /** Whether what this thread has not begun is to go to others, after that long with what it had. */
  isBehind(milliseconds: number): boolean {
    return milliseconds > BEHIND_MS;
  }

  /**
   * How often to look before the thread sleeps, at least once. It pays where what comes next is about to be written, often by who waits
   * for this core; where nothing comes soon it is time spent for nothing. So it goes by what the last tries were good for.
   *
   * @param othersAreThere another thread is there for what comes meanwhile
   */
  looks(othersAreThere: boolean): number {
    if (this.#mean === 0 || this.isSlow || !othersAreThere) return 1;
    if (this.#credit > 0) return LOOKS + 1;
    this.#skipped = (this.#skipped + 1) % EVERY;
    return this.#skipped === 0 ? LOOKS + 1 : 1;
  }

  /** What came of looking more than once. */
  looked(found: boolean): void {
    this.#credit = found ? Math.min(MOST_CREDIT, this.#credit + WORTH) : Math.max(0, this.#credit - 1);
  }

  /** How long to wait for events at most. @param unladen milliseconds since a peer had something in hand beside its run */
  slice(unladen: number): number {
    return unladen < WATCH_MS ? STUCK_MS : this.#slice;
  }
}
