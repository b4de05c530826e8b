/** What happened when, as far as a reader can tell it apart. */
import { intervalSeconds, type LoadResult } from './result.js';

export interface Slot {
  /** Milliseconds from the start. */
  readonly begin: number;
  readonly end: number;
  /** Responses a second. */
  readonly rate: number;
  /** Received, a second. */
  readonly bytes: number;
  readonly errors: number;
}

/** The series in at most `most` slots: neighbours are put together. */
export function slotsOf(result: LoadResult, most: number): Slot[] {
  const { interval, responses, bytes, errors } = result.series;
  const group = Math.max(1, Math.ceil(responses.length / most));
  const slots: Slot[] = [];
  for (let from = 0; from < responses.length; from += group) {
    let [count, received, failed, seconds] = [0, 0, 0, 0];
    for (let i = from; i < Math.min(from + group, responses.length); i++) {
      count += responses[i] ?? 0;
      received += bytes[i] ?? 0;
      failed += errors[i] ?? 0;
      seconds += intervalSeconds(result, i);
    }
    const begin = from * interval;
    slots.push({
      begin,
      end: begin + seconds * 1000,
      rate: count / seconds,
      bytes: received / seconds,
      errors: failed,
    });
  }
  // A last sliver of an interval says nothing about the rate.
  const [last, before] = [slots.at(-1), slots.at(-2)];
  if (last && before && last.errors === 0 && last.end - last.begin < (before.end - before.begin) / 4) slots.pop();
  return slots;
}
