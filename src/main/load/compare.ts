/** Results side by side: what was measured, and its ratio to the first one's. */
import { type Condition, judge, measureOf, type Verdict } from './conditions.js';
import { bytes, number, timeOrNone } from './format.js';
import type { LoadResult } from './result.js';

export interface NamedResult {
  readonly name: string;
  readonly result: LoadResult;
}

export interface ComparedRow {
  readonly name: string;
  /** For each result; null where there is nothing to measure. */
  readonly values: ReadonlyArray<number | null>;
  /** Each result's value to the first one's; null where there is none. */
  readonly ratios: ReadonlyArray<number | null>;
  /** What is better: more of it or less. */
  readonly better: 'more' | 'less';
}

/** A condition on a later result's ratio to the first. */
export interface ComparedVerdict extends Verdict {
  readonly file: string;
}

const ROWS: ReadonlyArray<readonly [name: string, better: 'more' | 'less', of: (result: LoadResult) => number | null]> =
  [
    ['Requests/s', 'more', result => result.requestsPerSecond],
    ['Bytes/s', 'more', result => result.bytesPerSecond],
    ['p50', 'less', ({ latency }) => latency.p50],
    ['p75', 'less', ({ latency }) => latency.p75],
    ['p90', 'less', ({ latency }) => latency.p90],
    ['p95', 'less', ({ latency }) => latency.p95],
    ['p99', 'less', ({ latency }) => latency.p99],
    ['p99.9', 'less', ({ latency }) => latency.p999],
    ['max', 'less', ({ latency }) => latency.max],
    ['mean', 'less', ({ latency }) => latency.mean],
    ['Responses', 'more', result => result.responses],
    ['Errors', 'less', result => result.errorCount],
  ];

/** @param results the first is what the others are compared with */
export function compareResults(results: readonly LoadResult[]): ComparedRow[] {
  return ROWS.map(([name, better, of]) => {
    const values = results.map(of);
    return { name, better, values, ratios: values.map(value => ratio(value, values[0] ?? null)) };
  });
}

/** Each condition for each result but the first. */
export function judgeRatios(results: readonly NamedResult[], conditions: readonly Condition[]): ComparedVerdict[] {
  const [first, ...later] = results;
  if (first === undefined) return [];
  return conditions.flatMap(condition => {
    const before = measureOf(condition, first.result);
    return later.map(({ name, result }) => ({
      file: name,
      ...judge(condition, ratio(measureOf(condition, result), before)),
    }));
  });
}

/** As many as before is 1, even of none. Whole, for it is judged; but 0.33 of 0.3 is 1.1. */
function ratio(value: number | null, first: number | null): number | null {
  if (value === null || first === null) return null;
  if (value === first) return 1;
  return first === 0 ? null : Number((value / first).toPrecision(12));
}

/** A row's value in words. */
export function shown({ name }: ComparedRow, value: number | null): string {
  if (name === 'Bytes/s') return value === null ? '-' : bytes(value);
  if (name === 'Requests/s' || name === 'Responses' || name === 'Errors') return value === null ? '-' : number(value);
  return timeOrNone(value);
}

/** `×0.97`; empty for the first, or where there is none. */
export function shownRatio({ ratios }: ComparedRow, index: number): string {
  const value = ratios[index];
  return index === 0 || value === null || value === undefined ? '' : `×${value.toFixed(2)}`;
}
