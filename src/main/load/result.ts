/** What a load test has measured, as it is printed, saved and merged. Times are milliseconds unless a name says otherwise. */
import { Histogram, type HistogramJSON } from '../../shared/load/histogram.js';

/** What went wrong with a request. */
export const ERROR_KINDS = ['connect', 'reset', 'timeout', 'protocol', 'status'] as const;
/** No connection; it broke; no answer in time; an answer that is none; a status code that was not expected. */
export type ErrorKind = (typeof ERROR_KINDS)[number];

/** What was asked for, as far as it explains the result. */
export interface LoadSettings {
  readonly connections: number;
  readonly threads: number;
  /** null: until `requests` were answered. */
  readonly duration: number | null;
  /** null: until `duration` had passed. */
  readonly requests: number | null;
  /** Requests a second; 0 for a closed loop. */
  readonly rate: number;
  readonly pipelining: number;
  readonly timeout: number;
  readonly warmup: number;
}

/** What happened when: one number for each interval. The last interval may have been cut short. */
export interface TimeSeries {
  readonly interval: number;
  readonly responses: readonly number[];
  readonly bytes: readonly number[];
  readonly errors: readonly number[];
}

export interface ThreadShare {
  readonly name: string;
  readonly responses: number;
  readonly bytes: number;
  /** Time in which the thread was not waiting. */
  readonly busy: number;
}

/** One machine's part. */
export interface HostRun {
  readonly host: string;
  /** When counting began: milliseconds since 1970. */
  readonly started: number;
  readonly duration: number;
  readonly processors: number;
  /** Processor time of the whole process. */
  readonly cpuUser: number;
  readonly cpuSystem: number;
}

/** What is measured; all else follows from it. */
export interface Measurement {
  readonly urls: readonly string[];
  readonly method: string;
  readonly settings: LoadSettings;
  /** Whether it was ended early, by Ctrl-C or an AbortSignal. */
  readonly interrupted: boolean;
  /** Sent while counting. */
  readonly requests: number;
  /** Complete responses, those with an unexpected status too. */
  readonly responses: number;
  /** Requests that were sent once more, as the server had closed their connection before it answered; not in `requests`. */
  readonly retried: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** By status code. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<ErrorKind, number>>;
  /** The same in more words: `connect ECONNREFUSED`, `protocol header-size`. */
  readonly errorDetails: Readonly<Record<string, number>>;
  readonly series: TimeSeries;
  readonly threads: readonly ThreadShare[];
  readonly hosts: readonly HostRun[];
  /** What makes the figures doubtful, such as a generator that was the bottleneck. */
  readonly warnings: readonly string[];
  readonly histogram: HistogramJSON;
}

/** Latencies. */
export interface LatencySummary {
  readonly min: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadResult extends Measurement {
  /** The layout of this object. */
  readonly format: 1;
  /** From the first machine's start to the last one's end. */
  readonly duration: number;
  /** The part of it, 0 to 1, in which every machine was counting. */
  readonly overlap: number;
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly errorCount: number;
  readonly latency: LatencySummary;
}

/** Adds what follows from a measurement. */
export function completeResult(measured: Measurement): LoadResult {
  const histogram = Histogram.fromJSON(measured.histogram);
  const [p50 = 0, p75 = 0, p90 = 0, p99 = 0, p999 = 0] = histogram.percentiles([50, 75, 90, 99, 99.9]).map(toMs);
  const { min, mean, stddev, max } = histogram;
  const { duration, overlap } = span(measured.hosts);
  const perSecond = (count: number) => (duration > 0 ? (count / duration) * 1000 : 0);
  return {
    format: 1,
    duration,
    overlap,
    requestsPerSecond: perSecond(measured.responses),
    bytesPerSecond: perSecond(measured.bytesReceived),
    errorCount: ERROR_KINDS.reduce((sum, kind) => sum + measured.errors[kind], 0),
    latency: { min: toMs(min), mean: toMs(mean), stddev: toMs(stddev), p50, p75, p90, p99, p999, max: toMs(max) },
    ...measured,
  };
}

/** How long each interval of the series was, in seconds: the last one may have been cut short. */
export function intervalSeconds(result: LoadResult, index: number): number {
  const { interval, responses } = result.series;
  if (index < responses.length - 1) return interval / 1000;
  const rest = result.duration - index * interval;
  return (rest > 0 && rest < interval ? rest : interval) / 1000;
}

/** Responses by the first digit of their status: `2xx`. */
export function statusClasses(statuses: Readonly<Record<string, number>>): Record<string, number> {
  const classes: Record<string, number> = {};
  for (const [code, count] of Object.entries(statuses)) {
    const name = `${code.charAt(0)}xx`;
    classes[name] = (classes[name] ?? 0) + count;
  }
  return classes;
}

/** Share of the processors' time that the generator itself used, 0 to 1. */
export function cpuShare(host: HostRun): number {
  const most = host.duration * host.processors;
  return most > 0 ? (host.cpuUser + host.cpuSystem) / most : 0;
}

/** Microseconds as milliseconds, without the noise of binary fractions. */
function toMs(us: number): number {
  return Number((us / 1000).toPrecision(6));
}

function span(hosts: readonly HostRun[]): { duration: number; overlap: number } {
  const first = Math.min(...hosts.map(host => host.started));
  const lastStart = Math.max(...hosts.map(host => host.started));
  const firstEnd = Math.min(...hosts.map(host => host.started + host.duration));
  const last = Math.max(...hosts.map(host => host.started + host.duration));
  const duration = hosts.length === 0 ? 0 : last - first;
  return { duration, overlap: duration > 0 ? Math.max(0, firstEnd - lastStart) / duration : 1 };
}
