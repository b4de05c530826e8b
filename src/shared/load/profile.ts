/** A rate that changes: from 0 linearly to each stage's, in its time; the last one is kept. */

export interface Stage {
  /** Requests a second. */
  readonly to: number;
  /** Milliseconds; 0: at once. */
  readonly over: number;
}

/** Milliseconds and requests: when it begins, how many were due before, and its rates for each millisecond. */
interface Segment {
  readonly at: number;
  readonly before: number;
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

export class Profile {
  readonly #segments: readonly Segment[];

  /** @param warmup milliseconds at the first rate that is not 0, before the stages begin */
  constructor(stages: readonly Stage[], warmup = 0) {
    const segments: Segment[] = [];
    let at = 0;
    let before = 0;
    let from = 0;
    const add = (begin: number, to: number, length: number): void => {
      if (length > 0) segments.push({ at, before, from: begin, to, length });
      at += length;
      before += ((begin + to) / 2) * length;
    };
    const first = (stages.find(({ to }) => to > 0)?.to ?? 0) / 1000;
    add(first, first, warmup);
    for (const stage of stages) {
      const to = stage.to / 1000;
      add(from, to, stage.over);
      from = to;
    }
    segments.push({ at, before, from, to: from, length: Number.POSITIVE_INFINITY });
    this.#segments = segments;
  }

  /** How many are due in the first `ms` milliseconds, fractions too. */
  within(ms: number): number {
    const { at, before, from, to, length } = this.#find(segment => segment.at <= ms);
    const t = ms - at;
    return before + from * t + (length === Number.POSITIVE_INFINITY ? 0 : ((to - from) * t * t) / (2 * length));
  }

  /** When number `k` (from 0) is due: milliseconds from the beginning; Infinity if it never is. */
  dueAt(k: number): number {
    const { at, before, from, to, length } = this.#find(segment => segment.before <= k);
    const n = k - before;
    if (n === 0) return at;
    const slope = length === Number.POSITIVE_INFINITY ? 0 : (to - from) / length;
    // The root of from * t + slope * t² / 2 = n, in the form that subtracts nothing.
    return at + (2 * n) / (from + Math.sqrt(Math.max(0, from * from + 2 * slope * n)));
  }

  #find(isBegun: (segment: Segment) => boolean): Segment {
    const found = this.#segments.findLast(isBegun) ?? this.#segments[0];
    if (found === undefined) throw new Error('a profile without a segment');
    return found;
  }
}
