/** What a load test is asked to do, checked before anything is opened. The command line has the same options. */
import { availableParallelism } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as args from '../../shared/arguments.js';
import { invalidType, outOfRange } from '../../shared/errors.js';
import { buildRequest, headerLines, type RequestHeaders } from '../../shared/load/http-request.js';
import type { Stage } from '../../shared/load/profile.js';
import type { RequestBase } from '../../shared/load/request-builder.js';
import { parseTarget, type Target } from '../../shared/load/target.js';
import type { TlsClientOptions } from '../../shared/tls/context.js';
import { MOST_THREADS } from '../service/options.js';
import { readBody } from './body-file.js';
import { parseCondition } from './conditions.js';
import { type Expectation, expectedStatuses } from './expectation.js';
import { requestList } from './request-list.js';
import { checkTls } from './tls-options.js';
import { milliseconds } from './units.js';

/** Times are numbers of milliseconds, or strings with a unit: '10s', '500ms', '2m'. */
export interface LoadOptions {
  /** `http://host:port/path`, `https://…`, `tcp://host:port`, `http://unix:/path/of.sock:/path`, `tcp://unix:/path/of.sock`. */
  readonly url: string | URL;
  /** Open at the same time: 1 to 1,000,000; default 10. */
  readonly connections?: number | undefined;
  /** That drive them: 1 to 254; default one for each processor, and not more than connections. */
  readonly threads?: number | undefined;
  /** How long requests are sent and counted; default 10 s, or until `requests` are answered. */
  readonly duration?: number | string | undefined;
  /** How many requests are sent in all; with `duration`, whichever comes first. */
  readonly requests?: number | undefined;
  /**
   * Requests a second in all, sent when they are due whether or not the server keeps up (an open loop); latency counts from
   * when they were due. With `duration` exactly as many become due as that makes; those that find every connection busy are
   * sent later, even after the end, until `timeout` has passed. Without `rate` each connection sends when it is answered.
   *
   * A rate that changes: from 0 linearly `to` each, in the time of `over` (0: at once); the last is kept. Without `duration`
   * the sum of these times is the test's.
   */
  readonly rate?: number | ReadonlyArray<{ readonly to: number; readonly over: number | string }> | undefined;
  /** Default GET, or POST with a body. */
  readonly method?: string | undefined;
  readonly headers?: RequestHeaders | undefined;
  /** Of each request; a string is sent as UTF-8. For tcp:// the bytes that are sent, and as many are expected back. */
  readonly body?: string | Uint8Array | undefined;
  /** A file with the body. */
  readonly bodyFile?: string | URL | undefined;
  /** Longest wait for an answer, connecting included; default 5 s. */
  readonly timeout?: number | string | undefined;
  /** How long requests are sent before any is counted; default 0. */
  readonly warmup?: number | string | undefined;
  /** Requests that a connection has under way at once: 1 to 1,000; default 1. */
  readonly pipelining?: number | undefined;
  /** Requests that are sent in turn, instead of the url's path: '/path' or 'METHOD /path'; headers and body hold for each. */
  readonly urls?: readonly string[] | undefined;
  /** A module that makes each request, checks each answer, or both: LoadScript. */
  readonly script?: string | URL | undefined;
  /** Status codes that are no error, such as 200, '2xx', '200-299' or '2xx,304'; default '2xx,3xx', with a script's check() any. */
  readonly expect?: Expectation | undefined;
  /**
   * What must hold of the result, such as 'p99<50ms', 'rate>10k', 'errors<0.1%': its `verdicts` say whether it does. p50 or any
   * other percentile, min, mean, max (us, ms, s), rate (a second), errors (a number or %); <, <=, >, >=.
   */
  readonly require?: string | readonly string[] | undefined;
  /** After so many errors the test ends. */
  readonly stopAfter?: number | undefined;
  /** Whether a request that times out counts among the latencies, with the time that it was waited for; default false. */
  readonly timeoutsCount?: boolean | undefined;
  /**
   * For https://: node:tls's options, by its names: ca, cert, key, servername, rejectUnauthorized, ciphers, minVersion …
   * Certificates are verified unless `rejectUnauthorized` is false; ALPN offers http/1.1.
   */
  readonly tls?: TlsClientOptions | undefined;
  /** For https://: whether TLS sessions are resumed; default false: each connection has a whole handshake. */
  readonly resume?: boolean | undefined;
  /** For tcp://: a module that says what is sent, and where an answer ends. */
  readonly protocol?: string | URL | undefined;
}

/** The options with their defaults, ready to be carried out (and structured-cloned). Milliseconds. */
export interface LoadPlan {
  readonly target: Target;
  readonly connections: number;
  readonly threads: number;
  /** Infinity when `requests` alone ends the test. */
  readonly duration: number;
  /** Infinity when `duration` alone ends it. */
  readonly requests: number;
  /** Requests a second, at the most; 0 for a closed loop. */
  readonly rate: number;
  /** Of a rate that changes. */
  readonly stages: readonly Stage[] | undefined;
  /** Empty for tcp://. */
  readonly method: string;
  /** What each request sends: HTTP's whole request, or the payload. */
  readonly request: Uint8Array;
  /** What else there is to know of it: board.ts. */
  readonly traits: number;
  readonly timeout: number;
  readonly warmup: number;
  readonly pipelining: number;
  readonly conditions: readonly string[];
  /** Infinity: never. */
  readonly stopAfter: number;
  readonly timeoutsCount: boolean;
  /** undefined: no https://. */
  readonly tls: TlsClientOptions | undefined;
  readonly resume: boolean;
  /** 1 for each status code, 0 to 999, that is no error. */
  readonly expected: Uint8Array;
  /** A file:// URL. */
  readonly protocol?: string;
  /** Requests that are sent in turn; empty: `request` each time. */
  readonly list: ReadonlyArray<{ readonly bytes: Uint8Array; readonly traits: number }>;
  /** A file:// URL. */
  readonly script?: string;
  /** `expect` as it was given: it judges beside a script's check(); null: it was not. */
  readonly expect: string | null;
  readonly base: RequestBase;
}

/** Every option there is: one that is misspelt would be left out of account. */
const NAMES: Readonly<Record<keyof LoadOptions | 'signal' | 'onProgress' | 'threadFile', true>> = {
  url: true,
  connections: true,
  threads: true,
  duration: true,
  requests: true,
  rate: true,
  method: true,
  headers: true,
  body: true,
  bodyFile: true,
  timeout: true,
  warmup: true,
  pipelining: true,
  urls: true,
  script: true,
  expect: true,
  require: true,
  stopAfter: true,
  timeoutsCount: true,
  protocol: true,
  tls: true,
  resume: true,
  signal: true,
  onProgress: true,
  threadFile: true,
};

const MAX_CONNECTIONS = 1_000_000;
const MAX_PIPELINING = 1000;
const MAX_RATE = 1e8;
const MAX_STOP_AFTER = 1_000_000_000;
const NOTHING = new Uint8Array(0);
const NO_BASE: RequestBase = {
  path: '/',
  authority: '',
  credentials: undefined,
  method: undefined,
  headers: [],
  body: undefined,
};

/**
 * Checks the options and fills in the defaults; each is read once.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE, as buildRequest, and what reading `bodyFile` says
 */
export function planLoad(options: LoadOptions): LoadPlan {
  args.options(options);
  checkNames(options);
  const { url, body, bodyFile, method, headers, expect, protocol, urls, script } = options;
  const { require: conditions, stopAfter, timeoutsCount, tls, resume } = options;
  const { connections = 10, threads, requests, rate, pipelining = 1, duration, timeout = 5000, warmup = 0 } = options;
  const target = parseTarget(url);
  const stages = Array.isArray(rate) ? checkStages(rate) : undefined;
  const open = args.integer(connections, 'connections', 1, MAX_CONNECTIONS);
  const total = requests === undefined ? undefined : args.integer(requests, 'requests', 1, Number.MAX_SAFE_INTEGER);
  return {
    target,
    connections: open,
    threads: threads === undefined ? defaultThreads(open) : args.integer(threads, 'threads', 1, MOST_THREADS),
    duration: duration === undefined ? defaultDuration(total, stages) : milliseconds(duration, 'duration', 1),
    requests: total ?? Number.POSITIVE_INFINITY,
    rate: stages === undefined ? checkRate(rate) : Math.max(...stages.map(({ to }) => to)),
    stages,
    timeout: milliseconds(timeout, 'timeout', 1),
    warmup: milliseconds(warmup, 'warmup'),
    pipelining: args.integer(pipelining, 'pipelining', 1, MAX_PIPELINING),
    conditions: checkConditions(conditions),
    stopAfter:
      stopAfter === undefined ? Number.POSITIVE_INFINITY : args.integer(stopAfter, 'stopAfter', 1, MAX_STOP_AFTER),
    timeoutsCount: flag(timeoutsCount, 'timeoutsCount'),
    tls: tlsPart(target, tls, resume),
    resume: flag(resume, 'resume'),
    ...(target.protocol === 'http'
      ? httpPart(target, { method, headers, expect, protocol, urls, script }, payload(body, bodyFile))
      : tcpPart({ method, headers, expect, protocol, urls, script }, payload(body, bodyFile))),
  };
}

function checkNames(options: object): void {
  const unknown = Object.keys(options).find(name => !Object.hasOwn(NAMES, name));
  if (unknown === undefined) return;
  throw invalidType('options', `an object with options of load(): ${Object.keys(NAMES).join(', ')}`, unknown);
}

function defaultThreads(connections: number): number {
  return Math.min(availableParallelism(), connections, MOST_THREADS);
}

function defaultDuration(requests: number | undefined, stages: readonly Stage[] | undefined): number {
  if (stages !== undefined) {
    const sum = stages.reduce((total, { over }) => total + over, 0);
    if (sum >= 1) return sum;
  }
  return requests === undefined ? 10_000 : Number.POSITIVE_INFINITY;
}

type Part = Pick<
  LoadPlan,
  'method' | 'request' | 'traits' | 'expected' | 'expect' | 'protocol' | 'list' | 'script' | 'base'
>;
type Given = Readonly<{
  [K in 'method' | 'headers' | 'expect' | 'protocol' | 'urls' | 'script']: LoadOptions[K] | undefined;
}>;

function httpPart(target: Target, given: Given, body: string | Uint8Array | undefined): Part {
  const { method, headers, expect, protocol, urls, script } = given;
  if (protocol !== undefined) throw outOfRange('protocol', 'for tcp:// only', protocol);
  const init = {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
  };
  const list = urls === undefined ? [] : requestList(urls, target, init);
  const request = buildRequest(target, init);
  const methods = list.length === 0 ? [request.method] : [...new Set(list.map(one => one.method))];
  return {
    method: methods.join(', '),
    request: request.bytes,
    traits: request.traits,
    list: list.map(({ bytes, traits }) => ({ bytes, traits })),
    expected: expectedStatuses(expect === undefined ? '2xx,3xx' : expect),
    expect: expect === undefined ? null : String(expect),
    ...(script === undefined ? {} : { script: moduleURL(script, 'script') }),
    base: {
      path: target.path,
      authority: target.authority,
      credentials: target.credentials,
      method: method === undefined ? undefined : request.method,
      headers: headerLines(headers ?? {}),
      body: typeof body === 'string' ? Buffer.from(body) : body,
    },
  };
}

function tcpPart(given: Given, body: string | Uint8Array | undefined): Part {
  for (const name of ['method', 'headers', 'expect', 'urls', 'script'] as const) {
    if (given[name] !== undefined) throw outOfRange(name, 'for http:// only', given[name]);
  }
  const none = { method: '', traits: 0, expected: new Uint8Array(1000), expect: null, list: [], base: NO_BASE };
  const request = typeof body === 'string' ? Buffer.from(body) : (body ?? NOTHING);
  if (given.protocol !== undefined) return { ...none, request, protocol: moduleURL(given.protocol, 'protocol') };
  if (request.length === 0)
    throw outOfRange('body', 'what tcp:// sends and expects back (or give a protocol): at least one byte', body);
  return { ...none, request };
}

function tlsPart(target: Target, tls: unknown, resume: unknown): TlsClientOptions | undefined {
  if (target.tls) return checkTls(tls);
  // Not what they are: a key is a secret.
  if (tls !== undefined) throw outOfRange('tls', 'for https:// only', Object.keys(Object(tls)));
  if (resume !== undefined) throw outOfRange('resume', 'for https:// only', resume);
  return undefined;
}

function checkConditions(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const all: unknown[] = Array.isArray(value) ? value : [value];
  return all.map(condition => parseCondition(condition).text);
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw invalidType(name, 'true or false', value);
  return value;
}

function checkStages(stages: readonly unknown[]): readonly Stage[] {
  const checked = stages.map((stage): Stage => {
    if (typeof stage !== 'object' || stage === null)
      throw invalidType('rate', 'stages such as { to: 500, over: "10s" }', stage);
    const to: unknown = Reflect.get(stage, 'to');
    if (typeof to !== 'number') throw invalidType('rate[].to', 'a number of requests a second', to);
    if (!(to >= 0 && to <= MAX_RATE)) throw outOfRange('rate[].to', `from 0 to ${MAX_RATE}`, to);
    return { to, over: milliseconds(Reflect.get(stage, 'over'), 'rate[].over') };
  });
  if (!checked.some(({ to }) => to > 0)) throw outOfRange('rate', 'at least one stage whose rate is above 0', stages);
  return checked;
}

function checkRate(rate: unknown): number {
  if (rate === undefined) return 0;
  if (typeof rate !== 'number') throw invalidType('rate', 'a number of requests a second', rate);
  if (!(rate > 0 && rate <= MAX_RATE)) throw outOfRange('rate', `above 0, and at most ${MAX_RATE}`, rate);
  return rate;
}

function payload(body: unknown, file: unknown): string | Uint8Array | undefined {
  if (file === undefined) {
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
    throw invalidType('body', 'a string or a Uint8Array', body);
  }
  if (body !== undefined) throw outOfRange('bodyFile', 'given only without body', file);
  if (typeof file !== 'string' && !(file instanceof URL)) throw invalidType('bodyFile', 'a path or a file: URL', file);
  return readBody(file, 'bodyFile');
}

function moduleURL(module: unknown, name: string): string {
  if (typeof module !== 'string' && !(module instanceof URL)) {
    throw invalidType(name, 'a path or a file: URL', module);
  }
  const text = String(module);
  // An empty path would be the folder, another URL's text a path.
  if (text === '' || (module instanceof URL && module.protocol !== 'file:')) {
    throw outOfRange(name, 'a path or a file: URL', text);
  }
  return text.startsWith('file:') ? pathToFileURL(fileURLToPath(text)).href : pathToFileURL(text).href;
}
