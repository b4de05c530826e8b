/** The command line of `epoll-pool load`: the options of load() by the same names, and where the result goes. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf, outOfRange } from '../../shared/errors.js';
import { UsageError } from '../usage.js';
import { readBody } from './body-file.js';
import type { LoadOptions } from './options.js';
import { OUTPUT_OPTIONS, type Output, outputOf } from './output.js';
import { count } from './units.js';

export interface LoadCommand {
  readonly options: LoadOptions;
  readonly output: Output;
}

/** Its fd: /dev/stdin cannot be opened where it is a socket. */
const STDIN = 0;

export const OPTIONS = {
  connections: { type: 'string', short: 'c' },
  threads: { type: 'string', short: 't' },
  duration: { type: 'string', short: 'd' },
  requests: { type: 'string', short: 'n' },
  rate: { type: 'string', short: 'R' },
  method: { type: 'string', short: 'X' },
  headers: { type: 'string', short: 'H', multiple: true },
  body: { type: 'string', short: 'b' },
  'body-file': { type: 'string' },
  timeout: { type: 'string' },
  warmup: { type: 'string' },
  pipelining: { type: 'string', short: 'p' },
  urls: { type: 'string' },
  script: { type: 'string' },
  expect: { type: 'string' },
  require: { type: 'string', multiple: true },
  fail: { type: 'string', multiple: true },
  'stop-after': { type: 'string' },
  'timeouts-count': { type: 'boolean' },
  protocol: { type: 'string' },
  insecure: { type: 'boolean', short: 'k' },
  cacert: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  servername: { type: 'string' },
  resume: { type: 'boolean' },
  ...OUTPUT_OPTIONS,
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

export const LOAD_USAGE = `Usage: epoll-pool load [options] <url>

Sends requests from a few threads over many connections, and says how fast they were answered.

  <url>                    http://host:port/path    https://host:port/path    tcp://host:port
                           http://unix:/path/of.sock:/path    tcp://unix:/path/of.sock

  -c, --connections <n>    open at the same time (10)
  -t, --threads <n>        that drive them (one for each processor)
  -d, --duration <time>    how long to send: 30s, 500ms, 2m (10s)
  -n, --requests <n>       how many to send in all
  -R, --rate <n>           requests a second in all, due at fixed times; latency counts from then.
                           Without it each connection sends when it is answered. 500@10s,5k@30s:
                           from 0 linearly to 500 in 10 s, then to 5,000 in 30 s (@0s: at once)
  -X, --method <method>    GET, or POST with a body
  -H, --headers <line>     'Name: value'; once for each
  -b, --body <text>        of each request, @file for one from a file; for tcp:// what is sent,
                           and expected back
      --body-file <file>   the body from a file
      --urls <file>        requests that are sent in turn, a line each: /path or METHOD /path
      --script <module>    makes each request, checks each answer: request(n), check(answer),
                           setup(), teardown()
      --timeout <time>     longest wait for an answer (5s)
      --timeouts-count     requests that time out count among the latencies, too
      --warmup <time>      how long to send before counting (0s)
  -p, --pipelining <n>     requests under way at once on a connection (1)
      --expect <codes>     status codes that are no error: 200, 2xx, 200-299 (2xx,3xx)
      --require <what>     must hold, or the exit code is 1: 'p99<50ms', 'errors<0.1%', 'rate>10k'
                           (percentiles, min, mean, max, rate, errors; once for each); --fail is
                           the same
      --stop-after <n>     errors end the test
      --protocol <module>  for tcp://: says what is sent and where an answer ends

  -k, --insecure           https:// with any certificate
      --cacert <file>      trust these authorities (PEM), instead of Node's
      --cert, --key <file> the client's own certificate and its key
      --servername <name>  to ask for, and to be in the certificate (the host)
      --resume             TLS sessions, instead of a whole handshake for each connection

      --json               print the result as JSON, with the whole histogram
      --report <file>      write it as a page of HTML
      --hdr <file>         write the latencies as HdrHistogram's percentile text
      --csv <file>         write a row for each interval: responses, bytes, errors, p50, p99
  -h, --help

Numbers may end in k or M. Ctrl-C ends it early, and prints what was measured so far. While
nothing was ever answered, connections that failed are opened again after pauses of 10 ms to 1 s.
A request that finds its kept connection closed is sent once more, if its method allows that.
Exits with 0, 1 after errors, unexpected statuses or no answer at all, 2 for wrong usage. A
condition on errors decides instead of their mere presence.
`;

/**
 * @returns what to do; undefined when help is asked for
 * @throws TypeError ERR_PARSE_ARGS_…, RangeError ERR_OUT_OF_RANGE
 */
export function parseLoadCommand(argv: readonly string[]): LoadCommand | undefined {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    strict: true,
  });
  if (values.help) return undefined;
  const [url] = positionals;
  if (url === undefined) throw outOfRange('<url>', 'given', url);
  if (positionals.length > 1) throw outOfRange('<url>', 'given once', positionals.join(' '));
  const { headers, require = [], fail = [] } = values;
  const conditions = [...require, ...fail];
  const options: LoadOptions = {
    url,
    ...numbers(values),
    ...(values.rate === undefined ? {} : { rate: parseRate(values.rate) }),
    ...defined({ duration: values.duration, timeout: values.timeout, warmup: values.warmup }),
    ...defined({
      method: values.method,
      expect: values.expect,
      script: values.script,
      protocol: values.protocol,
    }),
    ...bodyOf(values.body, values['body-file']),
    ...(headers === undefined ? {} : { headers: parseHeaders(headers) }),
    ...(values.urls === undefined ? {} : { urls: contents(values.urls, '--urls').toString('utf8').split(/\r?\n/) }),
    ...(conditions.length === 0 ? {} : { require: conditions }),
    ...tlsOf(values),
    ...(values['timeouts-count'] === undefined ? {} : { timeoutsCount: values['timeouts-count'] }),
  };
  return { options, output: outputOf(values) };
}

/** The name of an option of load() as it is typed on the command line; other words as they are. */
export function asTyped(name: string): string {
  if (name === 'url') return '<url>';
  if (name === 'tls') return '--insecure, --cacert, --cert, --key and --servername';
  if (name === 'tls.ca') return '--cacert';
  if (name.startsWith('tls.')) return asTyped(name.slice('tls.'.length));
  if (name.startsWith('rate')) return '--rate';
  if (name.startsWith('headers[')) return name.replace('headers', '--headers ');
  const typed = dashed(name);
  return Object.hasOwn(OPTIONS, typed) ? `--${typed}` : name;
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/**
 * As curl has it: @file is the file's contents, @- what comes on stdin. A text that begins with @ begins with @@. Files are
 * read here, and once: a pipe gives what it has only one time.
 */
function bodyOf(text: string | undefined, file: string | undefined): Pick<LoadOptions, 'body'> {
  if (file !== undefined) {
    if (text !== undefined) throw outOfRange('--body-file', 'given only without --body', file);
    return { body: contents(file, '--body-file') };
  }
  if (text === undefined) return {};
  if (!text.startsWith('@')) return { body: text };
  if (text.startsWith('@@')) return { body: text.slice(1) };
  return { body: contents(text === '@-' ? STDIN : text.slice(1), '--body') };
}

/** @throws UsageError, RangeError ERR_OUT_OF_RANGE that name the option */
function contents(file: string | number, option: string): Buffer {
  try {
    return readBody(file, option);
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new UsageError(`${option} cannot be read: ${messageOf(error)}`);
  }
}

const NUMBERS = ['connections', 'threads', 'requests', 'pipelining', 'stopAfter'] as const;

function numbers(values: Partial<Record<string, unknown>>): Partial<Record<(typeof NUMBERS)[number], number>> {
  const found: Partial<Record<(typeof NUMBERS)[number], number>> = {};
  for (const name of NUMBERS) {
    const text = values[dashed(name)];
    if (typeof text !== 'string') continue;
    found[name] = count(text);
    if (Number.isNaN(found[name])) throw outOfRange(`--${dashed(name)}`, 'a number such as 500, 10k or 1.5M', text);
  }
  return found;
}

/** By node:tls's names. */
function tlsOf(values: {
  insecure?: boolean;
  cacert?: string;
  cert?: string;
  key?: string;
  servername?: string;
  resume?: boolean;
}): Pick<LoadOptions, 'tls' | 'resume'> {
  const { insecure, cacert, cert, key, servername, resume } = values;
  const tls = {
    ...(insecure === undefined ? {} : { rejectUnauthorized: !insecure }),
    ...(cacert === undefined ? {} : { ca: contents(cacert, '--cacert') }),
    ...(cert === undefined ? {} : { cert: contents(cert, '--cert') }),
    ...(key === undefined ? {} : { key: contents(key, '--key') }),
    ...(servername === undefined ? {} : { servername }),
  };
  return { ...(Object.keys(tls).length === 0 ? {} : { tls }), ...(resume === undefined ? {} : { resume }) };
}

/** A number, or the stages of a rate that changes. */
function parseRate(text: string): NonNullable<LoadOptions['rate']> {
  const wrong = () => outOfRange('--rate', 'a number such as 500, 10k or 1.5M, or stages such as 500@10s,5k@30s', text);
  const amount = (number: string): number => {
    const value = count(number);
    if (Number.isNaN(value)) throw wrong();
    return value;
  };
  if (!text.includes('@')) return amount(text);
  return text.split(',').map(stage => {
    const [to = '', over = '', ...more] = stage.trim().split('@');
    if (over === '' || more.length > 0) throw wrong();
    return { to: amount(to), over };
  });
}

/** The same object without what is undefined. */
function defined<T extends Record<string, string | undefined>>(values: T): { [K in keyof T]?: string } {
  const found: { [K in keyof T]?: string } = {};
  for (const name in values) {
    const value = values[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function parseHeaders(lines: readonly string[]): Record<string, string[]> {
  // No prototype: a header may be called __proto__.
  const headers: Record<string, string[]> = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw outOfRange('--headers', "a line such as 'Name: value'", line);
    const name = line.slice(0, colon);
    headers[name] ??= [];
    headers[name].push(line.slice(colon + 1).trim());
  }
  return headers;
}
