/** Numbers as people read them. */
import { printable } from '../terminal.js';
import type { Verdict } from './conditions.js';
import type { LoadResult } from './result.js';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });

/** `1,290,120`; below 100 with what matters after the point. */
export function number(value: number): string {
  return value < 100 && !Number.isInteger(value) ? String(Number(value.toPrecision(3))) : whole.format(value);
}

/** `129K`, `1.5M`. */
export function compact(value: number): string {
  return short.format(value);
}

/** `109 MB`, in powers of 1,000. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${number(Number((value / 1000 ** power).toPrecision(3)))} ${units[power]}`;
}

/** Milliseconds as `85 µs`, `1.24 ms`, `2.5 s`, `3 min`. */
export function time(ms: number): string {
  if (ms === 0) return '0 ms';
  if (ms < 0.9995) return `${Number((ms * 1000).toPrecision(3))} µs`;
  if (ms < 999.5) return `${Number(ms.toPrecision(3))} ms`;
  if (ms < 119_950) return `${Number((ms / 1000).toPrecision(3))} s`;
  return `${Number((ms / 60_000).toPrecision(3))} min`;
}

/** The same; `-` where there is none. */
export function timeOrNone(ms: number | null): string {
  return ms === null ? '-' : time(ms);
}

/** What was measured for a condition, in its own unit. */
export function measuredValue({ condition, value }: Verdict): string {
  if (value === null) return 'nothing was answered';
  if (condition.startsWith('rate')) return `${number(value)}/s`;
  if (condition.startsWith('errors')) return condition.endsWith('%') ? `${number(value)}%` : number(value);
  return time(value);
}

/** 0.256 as `25.6%`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** `64 connections, 2 threads, 1,000 requests/s asked, pipelining 4`. */
export function settingsLine({ settings, hosts }: LoadResult): string {
  const { connections, threads, rate, pipelining, warmup, urls, script } = settings;
  const words = [
    hosts.length > 1 ? `${hosts.length} machines` : '',
    connections === 1 ? '1 connection' : `${number(connections)} connections`,
    threads === 1 ? '1 thread' : `${number(threads)} threads`,
    rate > 0 ? `open loop at ${ratesOf(settings)} requests/s` : 'closed loop',
    pipelining > 1 ? `pipelining ${pipelining}` : '',
    urls === null ? '' : urls === 1 ? '1 request' : `${number(urls)} requests in turn`,
    script === null ? '' : `script ${printable(script)}`,
    warmup > 0 ? `after ${time(warmup)} of warm-up` : '',
  ];
  return words.filter(Boolean).join(', ');
}

/** `500`, or `500 (10 s), 5,000 (30 s)` of a rate that changed. */
export function ratesOf({ rate, stages }: LoadResult['settings']): string {
  if (stages === null) return number(rate);
  return stages.map(({ to, over }) => `${number(to)} (${time(over)})`).join(', ');
}

/** What was under way when there were enough may have failed as well. */
function endedAfterErrors({ errorCount, settings: { stopAfter }, hosts }: LoadResult): string {
  const all = errorCount === 1 ? '1 error' : `${number(errorCount)} errors`;
  // Of several machines each has counted for itself.
  if (stopAfter === null || errorCount <= stopAfter || hosts.length > 1) return `Ended after ${all}, as asked for.`;
  return `Ended after ${all}: ${number(stopAfter)} were asked for, the others were under way then.`;
}

/** What a reader must know before believing the figures. */
export function remarks(result: LoadResult): string[] {
  const found = [...result.warnings];
  if (result.interrupted) found.push(`Interrupted after ${time(result.duration)}.`);
  if (result.stopped === 'errors') found.push(endedAfterErrors(result));
  const { timeout } = result.errors;
  if (timeout > 0) {
    const what = timeout === 1 ? '1 request' : `${number(timeout)} requests`;
    found.push(
      result.settings.timeoutsCount
        ? `Latencies include ${what} that timed out after ${time(result.settings.timeout)}: they took at least so long.`
        : `Latencies do not include ${what} that timed out after ${time(result.settings.timeout)} (--timeouts-count).`,
    );
  }
  if (result.overlap < 0.95) {
    found.push(
      `The machines counted at the same time for only ${percent(result.overlap)} of ${time(result.duration)}: ` +
        'rates are over the whole of it, and so lower than what the server did.',
    );
  }
  if (result.urls.length > 1) found.push('The machines had different addresses to test.');
  return found;
}
