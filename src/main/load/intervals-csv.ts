/** What happened when, as a table that spreadsheets and plotters read: a row for each interval. */
import { intervalSeconds, type LoadResult } from './result.js';

const HEAD = 'start_ms,end_ms,responses,responses_per_second,bytes,errors,p50_ms,p99_ms';

/** Milliseconds from the start; an empty cell where nothing was answered. */
export function intervalsCsv(result: LoadResult): string {
  const { interval, responses, bytes, errors, p50, p99 } = result.series;
  const rows = responses.map((count, i) => {
    const seconds = intervalSeconds(result, i);
    const begin = i * interval;
    const cells = [
      begin,
      round(begin + seconds * 1000),
      count,
      round(count / seconds),
      bytes[i],
      errors[i],
      p50[i],
      p99[i],
    ];
    return cells.map(cell => cell ?? '').join(',');
  });
  return `${[HEAD, ...rows].join('\n')}\n`;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
