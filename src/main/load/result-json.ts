/** Reads a result back from JSON, believing nothing: it comes from another machine, or was edited. */
import { integer } from '../../shared/arguments.js';
import { invalidType, outOfRange } from '../../shared/errors.js';
import { Histogram } from '../../shared/load/histogram.js';
import type { Stage } from '../../shared/load/profile.js';
import { parseCondition } from './conditions.js';
import {
  completeResult,
  type HostRun,
  type LoadResult,
  type LoadSettings,
  type MeasuredTls,
  STOP_REASONS,
  type StopReason,
  type ThreadShare,
  type TimeSeries,
} from './result.js';

/** Machines and threads of all that was merged. */
const MOST_ITEMS = 50_000;

type Fields = Readonly<Record<string, unknown>>;

/**
 * A result from what JSON.parse has made of it; what follows from the measurement is computed anew.
 *
 * @param name what errors call it, such as the file's name
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function readResult(json: unknown, name = 'result'): LoadResult {
  const it = fields(json, name);
  if (it.format !== 1) throw outOfRange(`${name}.format`, '1: the JSON of epoll-pool load', it.format);
  const errors = fields(it.errors, `${name}.errors`);
  const histogram = Histogram.fromJSON(it.histogram, `${name}.histogram`).toJSON();
  return completeResult({
    urls: list(it.urls, `${name}.urls`, text),
    method: text(it.method, `${name}.method`),
    settings: settings(it.settings, `${name}.settings`),
    interrupted: it.interrupted === true,
    stopped: stopReason(it.stopped, `${name}.stopped`),
    requests: count(it.requests, `${name}.requests`),
    responses: count(it.responses, `${name}.responses`),
    retried: it.retried === undefined ? 0 : count(it.retried, `${name}.retried`),
    bytesSent: count(it.bytesSent, `${name}.bytesSent`),
    bytesReceived: count(it.bytesReceived, `${name}.bytesReceived`),
    statuses: counts(it.statuses, `${name}.statuses`),
    errors: {
      connect: count(errors.connect, `${name}.errors.connect`),
      reset: count(errors.reset, `${name}.errors.reset`),
      timeout: count(errors.timeout, `${name}.errors.timeout`),
      protocol: count(errors.protocol, `${name}.errors.protocol`),
      status: count(errors.status, `${name}.errors.status`),
      check: errors.check === undefined ? 0 : count(errors.check, `${name}.errors.check`),
    },
    errorDetails: counts(it.errorDetails, `${name}.errorDetails`),
    series: series(it.series, `${name}.series`),
    threads: atMost(list(it.threads, `${name}.threads`, thread), `${name}.threads`),
    hosts: atMost(atLeastOne(list(it.hosts, `${name}.hosts`, host), `${name}.hosts`), `${name}.hosts`),
    conditions: it.verdicts === undefined ? [] : list(it.verdicts, `${name}.verdicts`, condition),
    warnings: list(it.warnings, `${name}.warnings`, text),
    histogram,
    tls: it.tls === undefined || it.tls === null ? null : measuredTls(it.tls, `${name}.tls`),
  });
}

function settings(json: unknown, name: string): LoadSettings {
  const it = fields(json, name);
  return {
    connections: count(it.connections, `${name}.connections`),
    threads: count(it.threads, `${name}.threads`),
    duration: it.duration === null ? null : measure(it.duration, `${name}.duration`),
    requests: it.requests === null ? null : count(it.requests, `${name}.requests`),
    rate: measure(it.rate, `${name}.rate`),
    stages: it.stages === undefined || it.stages === null ? null : list(it.stages, `${name}.stages`, stage),
    pipelining: count(it.pipelining, `${name}.pipelining`),
    timeout: measure(it.timeout, `${name}.timeout`),
    warmup: measure(it.warmup, `${name}.warmup`),
    timeoutsCount: it.timeoutsCount === true,
    urls: it.urls === undefined || it.urls === null ? null : count(it.urls, `${name}.urls`),
    script: textOrNull(it.script, `${name}.script`),
    protocol: textOrNull(it.protocol, `${name}.protocol`),
    headers: it.headers === undefined ? [] : list(it.headers, `${name}.headers`, text),
    body: it.body === undefined ? 0 : count(it.body, `${name}.body`),
    expect: textOrNull(it.expect, `${name}.expect`),
    stopAfter: it.stopAfter === undefined || it.stopAfter === null ? null : count(it.stopAfter, `${name}.stopAfter`),
    insecure: it.insecure === true,
    resume: it.resume === true,
  };
}

function condition(json: unknown, name: string): string {
  return parseCondition(fields(json, name).condition, false, `${name}.condition`).text;
}

function stopReason(json: unknown, name: string): StopReason | null {
  if (json === undefined || json === null) return null;
  const found = STOP_REASONS.find(reason => reason === json);
  if (found === undefined) throw outOfRange(name, `null or one of ${STOP_REASONS.join(', ')}`, json);
  return found;
}

function measuredTls(json: unknown, name: string): MeasuredTls {
  const it = fields(json, name);
  return {
    resumed: count(it.resumed, `${name}.resumed`),
    histogram: Histogram.fromJSON(it.histogram, `${name}.histogram`).toJSON(),
  };
}

function stage(json: unknown, name: string): Stage {
  const it = fields(json, name);
  return { to: measure(it.to, `${name}.to`), over: measure(it.over, `${name}.over`) };
}

function series(json: unknown, name: string): TimeSeries {
  const it = fields(json, name);
  const responses = list(it.responses, `${name}.responses`, count);
  const bytes = list(it.bytes, `${name}.bytes`, count);
  const errors = list(it.errors, `${name}.errors`, count);
  if (bytes.length !== responses.length || errors.length !== responses.length) {
    throw outOfRange(name, 'three lists of the same length', [responses.length, bytes.length, errors.length]);
  }
  const none = responses.map(() => null);
  const p50 = it.p50 === undefined ? none : list(it.p50, `${name}.p50`, measureOrNull);
  const p99 = it.p99 === undefined ? none : list(it.p99, `${name}.p99`, measureOrNull);
  if (p50.length !== responses.length || p99.length !== responses.length) {
    throw outOfRange(name, 'lists of the same length', [responses.length, p50.length, p99.length]);
  }
  return { interval: integer(it.interval, `${name}.interval`, 1, 3_600_000), responses, bytes, errors, p50, p99 };
}

function thread(json: unknown, name: string): ThreadShare {
  const it = fields(json, name);
  return {
    name: text(it.name, `${name}.name`),
    responses: count(it.responses, `${name}.responses`),
    bytes: count(it.bytes, `${name}.bytes`),
    busy: measure(it.busy, `${name}.busy`),
    cpu: it.cpu === undefined ? 0 : measure(it.cpu, `${name}.cpu`),
  };
}

function host(json: unknown, name: string): HostRun {
  const it = fields(json, name);
  return {
    host: text(it.host, `${name}.host`),
    started: measure(it.started, `${name}.started`),
    duration: measure(it.duration, `${name}.duration`),
    processors: count(it.processors, `${name}.processors`),
    cpuUser: measure(it.cpuUser, `${name}.cpuUser`),
    cpuSystem: measure(it.cpuSystem, `${name}.cpuSystem`),
    cpuMain: it.cpuMain === undefined ? 0 : measure(it.cpuMain, `${name}.cpuMain`),
  };
}

function fields(json: unknown, name: string): Fields {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalidType(name, 'an object', json);
  return { ...json };
}

function list<T>(json: unknown, name: string, item: (json: unknown, name: string) => T): T[] {
  if (!Array.isArray(json)) throw invalidType(name, 'an array', json);
  return json.map((value, i) => item(value, `${name}[${i}]`));
}

function atLeastOne<T>(items: T[], name: string): T[] {
  if (items.length === 0) throw outOfRange(name, 'a list of at least one', items);
  return items;
}

function atMost<T>(items: T[], name: string): T[] {
  if (items.length > MOST_ITEMS) throw outOfRange(name, `at most ${MOST_ITEMS} of them`, items.length);
  return items;
}

function counts(json: unknown, name: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(fields(json, name)).map(([key, value]) => [key, count(value, `${name}[${JSON.stringify(key)}]`)]),
  );
}

function count(json: unknown, name: string): number {
  return integer(json, name, 0, Number.MAX_SAFE_INTEGER);
}

function measure(json: unknown, name: string): number {
  if (typeof json !== 'number') throw invalidType(name, 'a number', json);
  // What is larger is no time and no rate, and would be Infinity in what is made of it.
  if (!(json >= 0 && json <= Number.MAX_SAFE_INTEGER)) {
    throw outOfRange(name, `from 0 to ${Number.MAX_SAFE_INTEGER}`, json);
  }
  return json;
}

function measureOrNull(json: unknown, name: string): number | null {
  return json === null ? null : measure(json, name);
}

function textOrNull(json: unknown, name: string): string | null {
  return json === undefined || json === null ? null : text(json, name);
}

function text(json: unknown, name: string): string {
  if (typeof json !== 'string') throw invalidType(name, 'a string', json);
  return json;
}
