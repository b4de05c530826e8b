/**
 * Whether a thread that has found nothing should look again before it sleeps. It pays where what comes next is about to be
 * written, often by who waits for this core; where nothing comes soon it is time spent for nothing. So it goes by what the
 * last tries were good for: one that finds something makes up for two that do not, and every 16th is made in any case.
 */
const WORTH = 2;
const MOST = 16;
const EVERY = 16;

export class Patience {
  #credit = 0;
  #skipped = 0;

  /** Whether to try this time. */
  try(): boolean {
    if (this.#credit > 0) return true;
    this.#skipped = (this.#skipped + 1) % EVERY;
    return this.#skipped === 0;
  }

  /** What came of it. */
  tried(found: boolean): void {
    this.#credit = found ? Math.min(MOST, this.#credit + WORTH) : Math.max(0, this.#credit - 1);
  }
}
