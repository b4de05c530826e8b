/**
 * An open loop's schedule: when each request is due, and which is next.
 *
 * Requests are due on the ticks of one timer. Up to FASTEST a second each has a tick of its own; above, the ticks stay at
 * that pace, and several are due at once: what is measured is not the timer's grain.
 */

const FASTEST = 10_000;
/** The clocks of two threads may differ so much, in milliseconds: a request is not to wait a whole tick for it. */
const SLACK = 0.005;

/** Two doubles are fixed, one is set when the test starts. */
export interface SchedulePlan {
  /** Milliseconds, a whole number of nanoseconds. */
  readonly tick: number;
  readonly perTick: number;
  /** Of the requests that were taken so far. */
  readonly taken: BigInt64Array;
  /** When the first is due. */
  readonly start: Float64Array;
}

/** @param rate requests a second */
export function planSchedule(rate: number): SchedulePlan {
  const perTick = Math.max(1, rate / FASTEST);
  return {
    tick: Math.round((perTick * 1e9) / rate) / 1e6,
    perTick,
    taken: new BigInt64Array(new SharedArrayBuffer(8)),
    start: new Float64Array(new SharedArrayBuffer(8)),
  };
}

export class Schedule {
  readonly #plan: SchedulePlan;
  readonly #slack: number;

  constructor(plan: SchedulePlan) {
    this.#plan = plan;
    this.#slack = Math.min(SLACK, plan.tick / 4);
  }

  /** When request `k` (from 0) is due. */
  dueAt(k: number): number {
    const { tick, perTick, start } = this.#plan;
    return (start[0] ?? 0) + tick * Math.floor(k / perTick + 1e-9);
  }

  /** Whether one is due that nobody has taken. */
  isDue(now: number): boolean {
    return this.dueAt(Number(Atomics.load(this.#plan.taken, 0))) <= now + this.#slack;
  }

  /** Takes the next request: when it was due, or -1 if it is not due yet. */
  take(now: number): number {
    const { taken } = this.#plan;
    for (;;) {
      const k = Atomics.load(taken, 0);
      const due = this.dueAt(Number(k));
      if (due > now + this.#slack) return -1;
      if (Atomics.compareExchange(taken, 0, k, k + 1n) === k) return due;
    }
  }

  /** How many were due before `end`, and nobody took. */
  missed(end: number): number {
    const { tick, perTick, start, taken } = this.#plan;
    const ticks = Math.ceil((end - (start[0] ?? 0)) / tick - 1e-9); // those at 0, 1 … ticks - 1
    const due = Math.ceil(Math.max(0, ticks) * perTick - 1e-6);
    return Math.max(0, due - Number(Atomics.load(taken, 0)));
  }
}
