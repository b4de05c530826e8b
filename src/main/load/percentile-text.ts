/** Latencies in HdrHistogram's percentile text, which its plotters and other tools read. */
import { Histogram } from '../../shared/load/histogram.js';
import type { LoadResult } from './result.js';

/** Lines for each half of what is left up to 100%. */
const TICKS = 5;
/** The shape of HdrHistogram's own buckets, for its readers: three digits. */
const SUB_BUCKETS = 2048;

/** Milliseconds. */
export function percentileText(result: LoadResult): string {
  const histogram = Histogram.fromJSON(result.histogram);
  const { count } = histogram;
  const lines = ['       Value     Percentile TotalCount 1/(1-Percentile)', ''];
  const line = (us: number, share: number, seen: number): void => {
    const left = share < 1 ? ` ${(1 / (1 - share)).toFixed(2).padStart(14)}` : '';
    lines.push(`${ms(us)} ${share.toFixed(12)} ${String(seen).padStart(10)}${left}`);
  };
  const curve = histogram.curve();
  if (count > 0) line(histogram.min, 0, 1);
  let at = 0;
  for (let share = 0; at < curve.length - 1; ) {
    // As HdrHistogram's iterator has it: finer by half, each time half of what was left is passed.
    share += 100 / (TICKS * 2 ** (Math.floor(Math.log2(100 / (100 - share))) + 1));
    while (at < curve.length - 1 && (curve[at]?.percentile ?? 0) < share) at++;
    const point = curve[at];
    if (point === undefined || point.percentile >= 100) break;
    line(point.us, share / 100, Math.round((point.percentile / 100) * count));
  }
  if (count > 0) line(histogram.max, 1, count);
  lines.push(
    `#[Mean    = ${ms(histogram.mean)}, StdDeviation   = ${ms(histogram.stddev)}]`,
    `#[Max     = ${ms(histogram.max)}, Total count    = ${String(count).padStart(12)}]`,
    `#[Buckets = ${String(27).padStart(12)}, SubBuckets     = ${String(SUB_BUCKETS).padStart(12)}]`,
  );
  return `${lines.join('\n')}\n`;
}

function ms(us: number): string {
  return (us / 1000).toFixed(3).padStart(12);
}
