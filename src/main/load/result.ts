/** What a load test has measured, as it is printed, saved and merged. Times are milliseconds unless a name says otherwise. */
import { invalidType, outOfRange } from '../../shared/errors.js';
import { Histogram, type HistogramJSON } from '../../shared/load/histogram.js';
import type { Stage } from '../../shared/load/profile.js';
import { judge, measureOf, parseCondition, type Verdict } from './conditions.js';

/** What went wrong with a request. */
export const ERROR_KINDS = ['connect', 'reset', 'timeout', 'protocol', 'status', 'check'] as const;
/** No connection; it broke; no answer in time; an answer that is none; an unexpected status code; refused by a script's check(). */
export type ErrorKind = (typeof ERROR_KINDS)[number];

/** What was asked for, as far as it explains the result. */
export interface LoadSettings {
  readonly connections: number;
  readonly threads: number;
  /** null: until `requests` were answered. */
  readonly duration: number | null;
  /** null: until `duration` had passed. */
  readonly requests: number | null;
  /** Requests a second, at the most; 0 for a closed loop. */
  readonly rate: number;
  /** Of a rate that changed; null: it did not. */
  readonly stages: readonly Stage[] | null;
  readonly pipelining: number;
  readonly timeout: number;
  readonly warmup: number;
  /** Whether requests that timed out are among the latencies, with the time that they were waited for. */
  readonly timeoutsCount: boolean;
  /** How many requests were sent in turn; null: one. */
  readonly urls: number | null;
  /** The file of the script; null: none. */
  readonly script: string | null;
  /** That of the protocol's module; null: none. */
  readonly protocol: string | null;
  /** Names of the headers that were given: their values may be secrets. */
  readonly headers: readonly string[];
  /** Bytes of the body that was given; 0: none. */
  readonly body: number;
  /** Status codes that were no error, as asked for; null: as usual. */
  readonly expect: string | null;
  /** Errors that would have ended the test; null: none. */
  readonly stopAfter: number | null;
  /** Whether any certificate was accepted; and whether TLS sessions were to be resumed. */
  readonly insecure: boolean;
  readonly resume: boolean;
}

/** What happened when: one number for each interval. The last interval may have been cut short. */
export interface TimeSeries {
  readonly interval: number;
  readonly responses: readonly number[];
  readonly bytes: readonly number[];
  readonly errors: readonly number[];
  /** Latencies of the interval, in milliseconds; null where nothing was answered. Merged: the highest of the machines'. */
  readonly p50: ReadonlyArray<number | null>;
  readonly p99: ReadonlyArray<number | null>;
}

export interface ThreadShare {
  readonly name: string;
  readonly responses: number;
  readonly bytes: number;
  /** Time in which the thread was not waiting. */
  readonly busy: number;
  /** Processor time of the thread; 0 where the kernel does not say. */
  readonly cpu: number;
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
  /** Of it, the main thread's. */
  readonly cpuMain: number;
}

/** Ctrl-C or a signal; as many errors as `stopAfter` allows; no connection could be opened for three timeouts. */
export type StopReason = (typeof STOP_REASONS)[number];
export const STOP_REASONS = ['interrupted', 'errors', 'unreachable'] as const;

/** What is measured; all else follows from it. */
export interface Measurement {
  readonly urls: readonly string[];
  readonly method: string;
  readonly settings: LoadSettings;
  /** Whether it was ended early, by Ctrl-C or an AbortSignal. */
  readonly interrupted: boolean;
  /** Why it ended before what was asked for was done; null: it did not. */
  readonly stopped: StopReason | null;
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
  /** What must hold of the result. */
  readonly conditions: readonly string[];
  /** What makes the figures doubtful, such as a generator that was the bottleneck. */
  readonly warnings: readonly string[];
  readonly histogram: HistogramJSON;
  /** Of https://; null: it was none. */
  readonly tls: MeasuredTls | null;
}

/** TLS sessions that were agreed on: how many went on with an earlier one, how long each handshake took. */
export interface MeasuredTls {
  readonly resumed: number;
  readonly histogram: HistogramJSON;
}

export interface TlsResult extends MeasuredTls {
  /** From the connected socket to the last word of the handshake, in milliseconds; null where there was none. */
  readonly handshake: {
    readonly count: number;
    readonly p50: number | null;
    readonly p99: number | null;
    readonly max: number | null;
  };
}

/** Latencies; null where nothing was answered. */
export interface LatencySummary {
  readonly min: number | null;
  readonly mean: number | null;
  readonly stddev: number | null;
  readonly p50: number | null;
  readonly p75: number | null;
  readonly p90: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
  readonly max: number | null;
}

export interface LoadResult extends Omit<Measurement, 'conditions' | 'tls'> {
  readonly tls: TlsResult | null;
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
  /** One for each condition that was asked for. */
  readonly verdicts: readonly Verdict[];
}

/** Adds what follows from a measurement. @throws RangeError for a condition that is none */
export function completeResult({ conditions, ...measured }: Measurement): LoadResult {
  const { duration, overlap } = span(measured.hosts);
  const perSecond = (count: number) => (duration > 0 ? (count / duration) * 1000 : 0);
  const result = {
    format: 1,
    duration,
    overlap,
    requestsPerSecond: perSecond(measured.responses),
    bytesPerSecond: perSecond(measured.bytesReceived),
    errorCount: ERROR_KINDS.reduce((sum, kind) => sum + measured.errors[kind], 0),
    latency: summary(Histogram.fromJSON(measured.histogram)),
    ...measured,
    tls: measured.tls === null ? null : { handshake: handshakes(measured.tls), ...measured.tls },
  } as const;
  const verdicts = conditions.map(text => {
    const condition = parseCondition(text);
    return judge(condition, measureOf(condition, result));
  });
  return { ...result, verdicts };
}

function handshakes({ histogram: json }: MeasuredTls): TlsResult['handshake'] {
  const histogram = Histogram.fromJSON(json);
  const { p50, p99, max } = summary(histogram);
  return { count: histogram.count, p50, p99, max };
}

const PERCENTILES = { p50: 50, p75: 75, p90: 90, p95: 95, p99: 99, p999: 99.9 };

function summary(histogram: Histogram): LatencySummary {
  const isEmpty = histogram.count === 0;
  const ms = (us: number | undefined) => (isEmpty || us === undefined ? null : toMs(us));
  const [p50, p75, p90, p95, p99, p999] = histogram.percentiles(Object.values(PERCENTILES)).map(ms);
  return {
    min: ms(histogram.min),
    mean: ms(histogram.mean),
    stddev: ms(histogram.stddev),
    p50: p50 ?? null,
    p75: p75 ?? null,
    p90: p90 ?? null,
    p95: p95 ?? null,
    p99: p99 ?? null,
    p999: p999 ?? null,
    max: ms(histogram.max),
  };
}

/**
 * What this share of all latencies did not exceed, in milliseconds; null when nothing was answered.
 *
 * @param share 0 to 1
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function percentile(result: Pick<LoadResult, 'histogram'>, share: number): number | null {
  const given: unknown = result;
  if (typeof given !== 'object' || given === null) throw invalidType('result', 'a result', given);
  if (typeof share !== 'number') throw invalidType('share', 'a number from 0 to 1', share);
  if (!(share >= 0 && share <= 1)) throw outOfRange('share', 'from 0 to 1', share);
  const histogram = Histogram.fromJSON(result.histogram);
  // 0.999 * 100 is not 99.9.
  if (histogram.count === 0) return null;
  return toMs(share === 0 ? histogram.min : histogram.percentile(Number((share * 100).toPrecision(12))));
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

/**
 * Share of the processors' time that the generator itself used, 0 to 1. What it used is known only a little after the last
 * answer, or long after it on a machine that has too much to do.
 */
export function cpuShare(host: HostRun): number {
  const most = host.duration * host.processors;
  return most > 0 ? Math.min(1, (host.cpuUser + host.cpuSystem) / most) : 0;
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
