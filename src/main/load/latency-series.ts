/** Latencies over time: what each interval adds to the histograms of all threads. */
import { Histogram } from '../../shared/load/histogram.js';

/** Responses by bucket. */
type Slot = Map<number, number>;

export class LatencySeries {
  #slots: Slot[] = [];
  #seen = new Float64Array(Histogram.BUCKETS);
  #next = new Float64Array(Histogram.BUCKETS);

  /** What has been recorded since the last call belongs to this interval. */
  sample(index: number, histograms: Iterable<Histogram>): void {
    const [now, before] = [this.#next, this.#seen];
    now.fill(0);
    for (const histogram of histograms) histogram.addTo(now);
    while (this.#slots.length <= index) this.#slots.push(new Map());
    const slot = this.#slots[index];
    for (let i = 0; i < now.length; i++) {
      const more = (now[i] ?? 0) - (before[i] ?? 0);
      if (more > 0) slot?.set(i, (slot.get(i) ?? 0) + more);
    }
    this.#seen = now;
    this.#next = before;
  }

  /** What came behind the first `length` intervals belongs to the last of them. */
  cut(length: number): void {
    for (const slot of this.#slots.splice(length)) this.#merge(length - 1, slot);
  }

  /** Draws so many intervals together to one. */
  coarsen(factor: number): void {
    const fine = this.#slots;
    this.#slots = [];
    fine.forEach((slot, i) => {
      this.#merge(Math.floor(i / factor), slot);
    });
  }

  #merge(index: number, slot: Slot): void {
    const to = this.#slots[index] ?? new Map<number, number>();
    for (const [bucket, count] of slot) to.set(bucket, (to.get(bucket) ?? 0) + count);
    this.#slots[index] = to;
  }

  /** What this share (0 to 1) of each of the first `length` intervals' latencies did not exceed, in milliseconds; null without any. */
  percentiles(share: number, length: number): Array<number | null> {
    return Array.from({ length }, (_, i) => percentileOf(this.#slots[i], share));
  }
}

function percentileOf(slot: Slot | undefined, share: number): number | null {
  if (slot === undefined || slot.size === 0) return null;
  const buckets = [...slot].sort(([a], [b]) => a - b);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let left = Math.ceil(total * share - 1e-9);
  for (const [bucket, count] of buckets) {
    left -= count;
    if (left <= 0) return Number((Histogram.middleOf(bucket) / 1000).toPrecision(4));
  }
  return null;
}
