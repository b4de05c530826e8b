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
  /** The highest of its intervals, in milliseconds; null where nothing was answered. */
  readonly p50: number | null;
  readonly p99: number | null;
  /** After the time that was asked for: only what was under way is answered, and that is no rate. */
  readonly isAfter: boolean;
}

/** The series in at most `most` slots: neighbours are put together. */
export function slotsOf(result: LoadResult, most: number): Slot[] {
  const { interval, responses, bytes, errors, p50, p99 } = result.series;
  const asked = result.settings.duration ?? Number.POSITIVE_INFINITY;
  const group = Math.max(1, Math.ceil(responses.length / most));
  const slots: Slot[] = [];
  for (let from = 0, to = 0; from < responses.length; from = to) {
    to = from + group;
    // A last sliver of an interval says nothing about the rate by itself: it counts with its neighbours.
    if (secondsOf(result, to, to + group) < secondsOf(result, from, to) / 4) to = responses.length;
    let [count, received, failed, seconds] = [0, 0, 0, 0];
    for (let i = from; i < Math.min(to, responses.length); i++) {
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
      p50: highest(p50.slice(from, to)),
      p99: highest(p99.slice(from, to)),
      isAfter: begin >= asked,
    });
  }
  return slots;
}

function highest(values: ReadonlyArray<number | null>): number | null {
  return values.reduce((most, value) => (value === null || (most !== null && most >= value) ? most : value), null);
}

function secondsOf(result: LoadResult, from: number, to: number): number {
  let seconds = 0;
  for (let i = from; i < Math.min(to, result.series.responses.length); i++) seconds += intervalSeconds(result, i);
  return seconds;
}
