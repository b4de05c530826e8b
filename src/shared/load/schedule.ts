/**
 * An open loop's schedule: when each request is due, and which is next.
 *
 * Requests are due on the ticks of one timer. Up to FASTEST a second each has a tick of its own; above, the ticks stay at
 * that pace, and several are due at once: what is measured is not the timer's grain.
 */
import { Profile, type Stage } from './profile.js';

const FASTEST = 10_000;
/** Ticks of a rate that changes: so many for each request at its highest, and these bounds in milliseconds. */
const TICKS_PER_REQUEST = 8;
const SHORTEST_TICK = 0.1;
const LONGEST_TICK = 1;
/** The clocks of two threads may differ so much, in milliseconds: a request is not to wait a whole tick for it. */
const SLACK = 0.005;

/** The first three are fixed, `start` and `total` are set when the test starts. */
export interface SchedulePlan {
  /** Milliseconds, a whole number of nanoseconds. */
  readonly tick: number;
  readonly perTick: number;
  /** Of a rate that changes, and how long its first rate is kept before that. */
  readonly stages: readonly Stage[] | undefined;
  readonly warmup: number;
  /** How many requests were taken so far; -1 before the beginning. */
  readonly taken: BigInt64Array;
  /** When the first is due. */
  readonly start: Float64Array;
  /** How many become due in all. */
  readonly total: Float64Array;
}

/** @param rate requests a second, the highest of the stages */
export function planSchedule(rate: number, stages?: readonly Stage[], warmup = 0): SchedulePlan {
  const perTick = Math.max(1, rate / FASTEST);
  const fine = Math.min(LONGEST_TICK, Math.max(SHORTEST_TICK, 1000 / (rate * TICKS_PER_REQUEST)));
  return {
    tick: Math.round((stages === undefined ? (perTick * 1000) / rate : fine) * 1e6) / 1e6,
    perTick,
    stages,
    warmup,
    taken: new BigInt64Array(new SharedArrayBuffer(8)).fill(-1n),
    start: new Float64Array(new SharedArrayBuffer(8)),
    total: new Float64Array(new SharedArrayBuffer(8)).fill(Number.POSITIVE_INFINITY),
  };
}

export class Schedule {
  readonly #plan: SchedulePlan;
  readonly #slack: number;
  readonly #profile: Profile | undefined;

  constructor(plan: SchedulePlan) {
    this.#plan = plan;
    this.#slack = Math.min(SLACK, plan.tick / 4);
    this.#profile = plan.stages && new Profile(plan.stages, plan.warmup);
  }

  /**
   * Says how many there are: those of the warm-up, and behind them exactly those of the duration.
   *
   * @param warmup in milliseconds, as `duration` @returns milliseconds from the beginning until the first that counts is due
   */
  limit(rate: number, warmup: number, duration: number): number {
    const profile = this.#profile;
    if (profile !== undefined) {
      const first = Math.max(0, Math.ceil(profile.within(warmup) - 1e-6));
      this.#plan.total[0] = Math.ceil(profile.within(warmup + duration) - 1e-6);
      return this.#after(first);
    }
    // By number: ticks are rounded, and a time would cut one off, or let one more in.
    const within = (ms: number): number => Math.ceil((ms * rate) / 1000 - 1e-6);
    this.#plan.total[0] = within(warmup) + within(duration);
    return this.#after(within(warmup));
  }

  /** @param from when the first is due, by clock() */
  begin(from: number): void {
    const { start, taken } = this.#plan;
    start[0] = from;
    // From here on threads take them, and see whatever was written before.
    Atomics.store(taken, 0, 0n);
  }

  #after(k: number): number {
    const { tick, perTick } = this.#plan;
    if (this.#profile !== undefined) return tick * Math.max(0, Math.ceil(this.#profile.dueAt(k) / tick - 1e-9));
    return tick * Math.floor(k / perTick + 1e-9);
  }

  /** When request `k` (from 0) is due. */
  dueAt(k: number): number {
    return (this.#plan.start[0] ?? 0) + this.#after(k);
  }

  /** Whether one is due that nobody has taken. */
  isDue(now: number): boolean {
    const k = this.taken;
    return k >= 0 && k < (this.#plan.total[0] ?? 0) && this.dueAt(k) <= now + this.#slack;
  }

  /** Takes the next request: when it was due, or -1 if it is not due yet, or there are no more. */
  take(now: number): number {
    const { taken, total } = this.#plan;
    for (;;) {
      const k = Atomics.load(taken, 0);
      if (k < 0n || Number(k) >= (total[0] ?? 0)) return -1;
      const due = this.dueAt(Number(k));
      if (due > now + this.#slack) return -1;
      if (Atomics.compareExchange(taken, 0, k, k + 1n) === k) return due;
    }
  }

  /** How many were taken so far. */
  get taken(): number {
    return Number(Atomics.load(this.#plan.taken, 0));
  }

  /** How many become due in all, and nobody has taken. */
  get left(): number {
    return (this.#plan.total[0] ?? 0) - this.taken;
  }

  /** How many were due before `end`, and nobody took. */
  missed(end: number): number {
    if (this.taken < 0) return 0;
    const { tick, perTick, start, total } = this.#plan;
    const ticks = Math.ceil((end - (start[0] ?? 0)) / tick - 1e-9); // those at 0, 1 … ticks - 1
    const due = Math.min(
      total[0] ?? 0,
      this.#profile === undefined ? Math.ceil(Math.max(0, ticks) * perTick - 1e-6) : this.#dueBy(ticks),
    );
    return Math.max(0, due - this.taken);
  }

  /** How many are due on the first `ticks` ticks. */
  #dueBy(ticks: number): number {
    const { tick } = this.#plan;
    return ticks <= 0 ? 0 : Math.floor((this.#profile?.within((ticks - 1) * tick) ?? 0) + 1e-6) + 1;
  }
}
