/** Makes one result of several machines' (or of several runs at the same time). */
import { invalidType, outOfRange } from '../../shared/errors.js';
import { Histogram } from '../../shared/load/histogram.js';
import type { Stage } from '../../shared/load/profile.js';
import {
  completeResult,
  type ErrorKind,
  type LoadResult,
  type LoadSettings,
  type MeasuredTls,
  type ThreadShare,
  type TimeSeries,
} from './result.js';

/** How far apart results may lie: more is a clock that is wrong, or another day's file. */
const MOST_INTERVALS = 1_000_000;

/**
 * Histograms and counts are added; time series are laid over one another by the machines' clocks. Rates are over the time from
 * the first start to the last end: `overlap` says how much of it every machine was counting.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE for none, RangeError ERR_OUT_OF_RANGE for series whose intervals are no multiples
 */
export function mergeResults(results: readonly LoadResult[]): LoadResult {
  const given: unknown = results;
  if (!Array.isArray(given)) throw invalidType('results', 'an array of results', given);
  given.forEach((result: unknown, i) => {
    if (typeof result !== 'object' || result === null) throw invalidType(`results[${i}]`, 'a result', result);
  });
  const [first] = results;
  if (first === undefined) throw invalidType('results', 'at least one result', results);
  const histogram = new Histogram();
  for (const result of results) histogram.add(Histogram.fromJSON(result.histogram));
  const sum = (of: (result: LoadResult) => number) => results.reduce((total, result) => total + of(result), 0);
  const errors = (kind: ErrorKind) => sum(result => result.errors[kind]);
  return completeResult({
    urls: distinct(results.flatMap(result => result.urls)),
    method: distinct(results.flatMap(result => result.method.split(', '))).join(', '),
    settings: mergeSettings(results.map(result => result.settings)),
    interrupted: results.some(result => result.interrupted),
    stopped: results.find(result => result.stopped !== null)?.stopped ?? null,
    requests: sum(result => result.requests),
    responses: sum(result => result.responses),
    retried: sum(result => result.retried),
    bytesSent: sum(result => result.bytesSent),
    bytesReceived: sum(result => result.bytesReceived),
    statuses: addCounts(results.map(result => result.statuses)),
    errors: {
      connect: errors('connect'),
      reset: errors('reset'),
      timeout: errors('timeout'),
      protocol: errors('protocol'),
      status: errors('status'),
      check: errors('check'),
    },
    errorDetails: addCounts(results.map(result => result.errorDetails)),
    series: mergeSeries(results),
    threads: results.length === 1 ? first.threads : results.flatMap(namedThreads),
    hosts: results.flatMap(result => result.hosts),
    conditions: distinct(results.flatMap(result => result.verdicts.map(({ condition }) => condition))),
    warnings: distinct(results.flatMap(result => result.warnings)),
    histogram: histogram.toJSON(),
    tls: mergeTls(results.map(result => result.tls)),
  });
}

function mergeTls(all: ReadonlyArray<MeasuredTls | null>): MeasuredTls | null {
  const some = all.filter(tls => tls !== null);
  if (some.length === 0) return null;
  const histogram = new Histogram();
  for (const tls of some) histogram.add(Histogram.fromJSON(tls.histogram));
  return { resumed: some.reduce((sum, tls) => sum + tls.resumed, 0), histogram: histogram.toJSON() };
}

/** What all did together: their connections and rates add up; where they differ otherwise, the largest. */
function mergeSettings(all: readonly LoadSettings[]): LoadSettings {
  const sum = (of: (settings: LoadSettings) => number) => all.reduce((total, settings) => total + of(settings), 0);
  const most = (of: (settings: LoadSettings) => number) => Math.max(...all.map(of));
  const words = (of: (settings: LoadSettings) => string | null) =>
    distinct(all.flatMap(settings => of(settings) ?? [])).join(', ') || null;
  return {
    connections: sum(settings => settings.connections),
    threads: sum(settings => settings.threads),
    duration: all.some(settings => settings.duration === null) ? null : most(settings => settings.duration ?? 0),
    requests: all.some(settings => settings.requests === null) ? null : sum(settings => settings.requests ?? 0),
    rate: all.some(settings => settings.rate === 0) ? 0 : sum(settings => settings.rate),
    stages: mergeStages(all.map(settings => settings.stages)),
    pipelining: most(settings => settings.pipelining),
    timeout: most(settings => settings.timeout),
    warmup: most(settings => settings.warmup),
    timeoutsCount: all.some(settings => settings.timeoutsCount),
    urls: all.find(settings => settings.urls !== null)?.urls ?? null,
    script: words(settings => settings.script),
    protocol: words(settings => settings.protocol),
    headers: distinct(all.flatMap(settings => settings.headers)),
    body: most(settings => settings.body),
    expect: words(settings => settings.expect),
    stopAfter: most(settings => settings.stopAfter ?? 0) || null,
    insecure: all.some(settings => settings.insecure),
    resume: all.some(settings => settings.resume),
  };
}

/** The stages of all together, if they all had the same times. */
function mergeStages(all: ReadonlyArray<readonly Stage[] | null>): readonly Stage[] | null {
  const [first] = all;
  if (first === undefined || first === null) return null;
  const isSame = all.every(
    stages => stages?.length === first.length && stages.every(({ over }, i) => over === first[i]?.over),
  );
  if (!isSame) return null;
  return first.map(({ over }, i) => ({ to: all.reduce((sum, stages) => sum + (stages?.[i]?.to ?? 0), 0), over }));
}

/** Each number goes to the interval in which its own began; a finer series is added up to the coarsest. */
function mergeSeries(results: readonly LoadResult[]): TimeSeries {
  const interval = Math.max(...results.map(result => result.series.interval));
  const begin = Math.min(...results.map(startOf));
  const responses: number[] = [];
  const bytes: number[] = [];
  const errors: number[] = [];
  const p50: Array<number | null> = [];
  const p99: Array<number | null> = [];
  const raise = (to: Array<number | null>, index: number, value: number | null | undefined) => {
    while (to.length <= index) to.push(null);
    if (value !== null && value !== undefined) to[index] = Math.max(to[index] ?? 0, value);
  };
  const put = (to: number[], index: number, value: number) => {
    while (to.length <= index) to.push(0);
    to[index] = (to[index] ?? 0) + value;
  };
  for (const result of results) {
    const { series } = result;
    if (interval % series.interval !== 0) {
      throw outOfRange('series.interval', `a whole part of ${interval} ms, the largest of them`, series.interval);
    }
    // To the nearest of its own intervals: machines never start at exactly the same time.
    const late = Math.round((startOf(result) - begin) / series.interval);
    if (late > MOST_INTERVALS) {
      throw outOfRange(
        'hosts[].started',
        `within ${MOST_INTERVALS} intervals of the others`,
        new Date(startOf(result)),
      );
    }
    for (let i = 0; i < series.responses.length; i++) {
      const index = Math.floor(((i + late) * series.interval) / interval);
      put(responses, index, series.responses[i] ?? 0);
      put(bytes, index, series.bytes[i] ?? 0);
      put(errors, index, series.errors[i] ?? 0);
      raise(p50, index, series.p50[i]);
      raise(p99, index, series.p99[i]);
    }
  }
  return { interval, responses, bytes, errors, p50, p99 };
}

function startOf(result: LoadResult): number {
  return Math.min(...result.hosts.map(host => host.started));
}

/** Threads of several machines bear their machine's name; those of a result that was merged before already do. */
function namedThreads(result: LoadResult): readonly ThreadShare[] {
  const [host, ...others] = result.hosts;
  if (host === undefined || others.length > 0) return result.threads;
  return result.threads.map(thread => ({ ...thread, name: `${host.host}/${thread.name}` }));
}

function addCounts(all: ReadonlyArray<Readonly<Record<string, number>>>): Record<string, number> {
  const sums = new Map<string, number>();
  for (const counts of all) {
    for (const [key, count] of Object.entries(counts)) sums.set(key, (sums.get(key) ?? 0) + count);
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}
