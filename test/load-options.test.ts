/** The options of a load test: defaults, what is refused and how, and the same by name on the command line. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { LOAD_USAGE, parseLoadCommand } from '../dist/main/load/command-line.js';
import { planLoad } from '../dist/main/load/options.js';
import { parseTarget } from '../dist/shared/load/target.js';

const url = 'http://127.0.0.1:8080/x';
const plan = (options: object) => Reflect.apply(planLoad, undefined, [{ url, ...options }]);
const coded = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

test('the defaults', () => {
  const { target, request, expected, base, ...rest } = planLoad({ url });
  expect(rest).toEqual({
    connections: 10,
    threads: Math.min(availableParallelism(), 10),
    duration: 10_000,
    requests: Number.POSITIVE_INFINITY,
    rate: 0,
    method: 'GET',
    timeout: 5000,
    warmup: 0,
    pipelining: 1,
    traits: 4,
    conditions: [],
    stopAfter: Number.POSITIVE_INFINITY,
    timeoutsCount: false,
    tls: undefined,
    resume: false,
    stages: undefined,
    expect: null,
    list: [],
  });
  expect(Buffer.from(request).toString()).toBe('GET /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n');
  expect(target).toMatchObject({ host: '127.0.0.1', port: 8080 });
  expect([100, 199, 200, 304, 399, 400, 500].map(status => expected[status])).toEqual([0, 0, 1, 1, 1, 0, 0]);
});

test('a number of requests replaces the default duration, and stands beside one that is given', () => {
  expect(planLoad({ url, requests: 5 })).toMatchObject({ requests: 5, duration: Number.POSITIVE_INFINITY });
  expect(planLoad({ url, requests: 5, duration: '1m' })).toMatchObject({ requests: 5, duration: 60_000 });
});

test('the plan reaches another thread whole', () => {
  const made = planLoad({ url, body: 'abc', rate: 0.5 });
  expect(structuredClone(made)).toEqual({
    ...made,
    request: new Uint8Array(made.request),
    base: { ...made.base, body: new Uint8Array(Buffer.from('abc')) },
  });
});

test('no more threads than connections by default', () => {
  expect(planLoad({ url, connections: 1 }).threads).toBe(1);
  expect(planLoad({ url, connections: 1, threads: 2 }).threads).toBe(2);
});

test.each<[time: number | string, ms: number]>([
  ['10s', 10_000],
  ['500ms', 500],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['5000us', 5],
  [250, 250],
  [1.5, 1.5],
])('a time of %s', (time, ms) => {
  expect(planLoad({ url, duration: time, timeout: time, warmup: time })).toMatchObject({
    duration: ms,
    timeout: ms,
    warmup: ms,
  });
});

test.each<[expectation: number | string | Array<number | string>, yes: number[], no: number[]]>([
  [200, [200], [199, 201]],
  ['404', [404], [200]],
  ['2xx', [200, 299], [199, 300]],
  ['2XX, 304', [200, 304], [303, 305]],
  ['100-103', [100, 103], [104, 200]],
  [
    [500, '6xx'],
    [500, 699],
    [501, 200],
  ],
])('expecting %s', (expectation, yes, no) => {
  const { expected } = planLoad({ url, expect: expectation });
  expect(yes.map(status => expected[status])).toEqual(yes.map(() => 1));
  expect(no.map(status => expected[status])).toEqual(no.map(() => 0));
});

test('a body from a file', () => {
  const file = join(tmpdir(), `epoll-pool-body-${process.pid}`);
  writeFileSync(file, Buffer.from([0, 255, 10]));
  try {
    for (const bodyFile of [file, pathToFileURL(file)]) {
      const { request, method } = planLoad({ url, bodyFile });
      expect([method, ...request.slice(-3)]).toEqual(['POST', 0, 255, 10]);
    }
    expect(() => planLoad({ url, bodyFile: file, body: 'x' })).toThrow(coded('ERR_OUT_OF_RANGE', 'bodyFile'));
  } finally {
    rmSync(file);
  }
  expect(() => planLoad({ url, bodyFile: file })).toThrow(coded('ENOENT', file));
});

test('tcp:// sends its body, or what a module says', () => {
  const made = planLoad({ url: 'tcp://[::1]:7', body: 'ping' });
  expect(made).toMatchObject({ target: { protocol: 'tcp', host: '::1', port: 7 }, method: '' });
  expect(Buffer.from(made.request).toString()).toBe('ping');
  expect(planLoad({ url: 'tcp://h:7', protocol: 'my protocol.js' }).protocol).toBe(
    pathToFileURL('my protocol.js').href,
  );
  expect(planLoad({ url: 'tcp://h:7', protocol: new URL('file:///a/b.js') }).protocol).toBe('file:///a/b.js');
  expect(() => planLoad({ url: 'tcp://h:7' })).toThrow(coded('ERR_OUT_OF_RANGE', 'body'));
  for (const option of [{ method: 'GET' }, { headers: {} }, { expect: 200 }]) {
    expect(() => planLoad({ url: 'tcp://h:7', body: 'x', ...option })).toThrow(
      coded('ERR_OUT_OF_RANGE', 'http:// only'),
    );
  }
  expect(() => planLoad({ url, protocol: 'x.js' })).toThrow(coded('ERR_OUT_OF_RANGE', 'tcp:// only'));
});

const wrong: Array<[options: object, code: string, name: string]> = [
  ...['connections', 'threads', 'requests', 'pipelining'].flatMap(
    name =>
      [
        [{ [name]: 0 }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: 1.5 }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: Number.NaN }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: Number.POSITIVE_INFINITY }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: '5' }, 'ERR_INVALID_ARG_TYPE', name],
        [{ [name]: null }, 'ERR_INVALID_ARG_TYPE', name],
      ] satisfies Array<[object, string, string]>,
  ),
  ...['duration', 'timeout', 'warmup'].flatMap(
    name =>
      [
        [{ [name]: -1 }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: Number.NaN }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: Number.POSITIVE_INFINITY }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: '10' }, 'ERR_OUT_OF_RANGE', 'unit'],
        [{ [name]: '10 s' }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: '1d' }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: '' }, 'ERR_OUT_OF_RANGE', name],
        [{ [name]: true }, 'ERR_INVALID_ARG_TYPE', name],
      ] satisfies Array<[object, string, string]>,
  ),
  [{ duration: 0 }, 'ERR_OUT_OF_RANGE', 'duration'],
  [{ threads: 255 }, 'ERR_OUT_OF_RANGE', 'threads'],
  [{ rate: 0 }, 'ERR_OUT_OF_RANGE', 'rate'],
  [{ rate: -1 }, 'ERR_OUT_OF_RANGE', 'rate'],
  [{ rate: Number.NaN }, 'ERR_OUT_OF_RANGE', 'rate'],
  [{ rate: '100' }, 'ERR_INVALID_ARG_TYPE', 'rate'],
  [{ expect: 99 }, 'ERR_OUT_OF_RANGE', 'expect'],
  [{ expect: 1000 }, 'ERR_OUT_OF_RANGE', 'expect'],
  [{ expect: '300-200' }, 'ERR_OUT_OF_RANGE', 'expect'],
  [{ expect: 'ok' }, 'ERR_OUT_OF_RANGE', 'expect'],
  [{ expect: [] }, 'ERR_OUT_OF_RANGE', 'expect'],
  [{ expect: {} }, 'ERR_INVALID_ARG_TYPE', 'expect'],
  [{ body: 1 }, 'ERR_INVALID_ARG_TYPE', 'body'],
  [{ bodyFile: 1 }, 'ERR_INVALID_ARG_TYPE', 'bodyFile'],
  [{ method: 'x y' }, 'ERR_OUT_OF_RANGE', 'method'],
  [{ method: '' }, 'ERR_OUT_OF_RANGE', 'method'],
  [{ method: 'connect' }, 'ERR_OUT_OF_RANGE', 'method'],
  [{ conections: 5 }, 'ERR_INVALID_ARG_TYPE', 'conections'],
  [{ require: 'p99' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: 'p99<50' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: 'p101<50ms' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: 'errors<5ms' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ tls: { key: 'secret' } }, 'ERR_OUT_OF_RANGE', "tls must be for https:// only; received [ 'key' ]"],
  [{ require: 'p99<5constructor' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: 'errors<5toString' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: 'rate>5%' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: 'p99<1.1x' }, 'ERR_OUT_OF_RANGE', 'require'],
  [{ require: ['p99<1s', 1] }, 'ERR_INVALID_ARG_TYPE', 'require'],
  [{ rate: [] }, 'ERR_OUT_OF_RANGE', 'rate'],
  [{ rate: [{ to: 0, over: 5 }] }, 'ERR_OUT_OF_RANGE', 'rate'],
  [{ rate: [{ to: -1, over: 5 }] }, 'ERR_OUT_OF_RANGE', 'rate[].to'],
  [{ rate: [{ to: 5 }] }, 'ERR_INVALID_ARG_TYPE', 'rate[].over'],
  [{ rate: [{ to: 5, over: '5' }] }, 'ERR_OUT_OF_RANGE', 'rate[].over'],
  [{ rate: [5] }, 'ERR_INVALID_ARG_TYPE', 'rate'],
  [{ stopAfter: 0 }, 'ERR_OUT_OF_RANGE', 'stopAfter'],
  [{ stopAfter: '5' }, 'ERR_INVALID_ARG_TYPE', 'stopAfter'],
  [{ timeoutsCount: 1 }, 'ERR_INVALID_ARG_TYPE', 'timeoutsCount'],
  [{ headers: new Headers({ a: 'b' }) }, 'ERR_INVALID_ARG_TYPE', 'headers'],
  [{ headers: new Map([['a', 'b']]) }, 'ERR_INVALID_ARG_TYPE', 'headers'],
  [{ headers: { X: '\n' } }, 'ERR_INVALID_CHAR', 'X'],
  ...['method', 'headers', 'expect', 'body', 'bodyFile', 'urls', 'script', 'require', 'stopAfter', 'rate'].map(
    (name): [object, string, string] => [{ [name]: null }, 'ERR_INVALID_ARG_TYPE', name],
  ),
  [{ script: '' }, 'ERR_OUT_OF_RANGE', 'script'],
  [{ script: new URL('http://h/script.mjs') }, 'ERR_OUT_OF_RANGE', 'script'],
  [{ url: 'tcp://h:1', protocol: '' }, 'ERR_OUT_OF_RANGE', 'protocol'],
  [{ url: 'https://h', tls: [] }, 'ERR_INVALID_ARG_TYPE', 'tls'],
  [{ url: 'tcp://h:1', protocol: 1 }, 'ERR_INVALID_ARG_TYPE', 'protocol'],
  [{ url: undefined }, 'ERR_INVALID_ARG_TYPE', 'url'],
];
test.each(wrong)('refuses %o: %s', (options, code, name) => {
  expect(() => plan(options)).toThrow(coded(code, name));
});

test('refuses options that are none', () => {
  for (const options of [undefined, null, 'x', 1]) {
    expect(() => Reflect.apply(planLoad, undefined, [options])).toThrow(coded('ERR_INVALID_ARG_TYPE'));
  }
});

test.each<[url: string, message: string]>([
  ['https://', 'address'],
  ['https://h:0/', 'port'],
  ['http://', 'address'],
  ['http://h:0/', 'port'],
  ['http://h:99999/', 'address'],
  ['tcp://h', 'port'],
  ['tcp://h:1/path', 'nothing after'],
  ['tcp://unix:/a.sock:/path', 'nothing after'],
  ['tcp://:secret@h:1', 'nothing after'],
  ['ftp://h/', 'address'],
  ['localhost:8080', 'address'],
  ['/path', 'address'],
  ['', 'address'],
  ['http://h/a b', 'blanks'],
  ['http://h/a\r\nX: y', 'blanks'],
  ['http://h/\0', 'blanks'],
  ['http://%zz@h/', '%'],
  [`http://unix:/${'x'.repeat(108)}`, '107'],
])('refuses the address %j', (address, message) => {
  expect(() => parseTarget(address)).toThrow(coded('ERR_OUT_OF_RANGE', message));
});

test.each([
  ['http://user:secret@h:80/a@b', 'http://h:80/a@b'],
  ['http://user:half@secret@h/?q=a@b', 'http://h/?q=a@b'],
  ['http://secret@h', 'http://h'],
  ['http:user:secret@h/', 'http:h/'],
  ['http:\\\\user:secret@h\\x@y', 'http:\\\\h\\x@y'],
  ['HTTPS:///user:secret@h/', 'HTTPS:///h/'],
  ['http://h/a@b', 'http://h/a@b'],
  ['http://unix:app@1.sock:/x', 'http://unix:app@1.sock:/x'],
])('user and password of %j are not in what is shown', (address, shown) => {
  expect(parseTarget(address).url).toBe(shown);
});

test('a path that begins with // is asked for as it is, wherever it is given', () => {
  expect(parseTarget('http://h//a/b?c').path).toBe('//a/b?c');
  expect(parseTarget('http://unix:/a.sock://a/b?c').path).toBe('//a/b?c');
  expect(parseTarget('http://unix:/a.sock://[').path).toBe('//[');
  const { list } = planLoad({ url, urls: ['//a/b?c', 'PUT ///ä#x'] });
  expect(list.map(({ bytes }) => Buffer.from(bytes).toString().split('\r\n')[0])).toEqual([
    'GET //a/b?c HTTP/1.1',
    'PUT ///%C3%A4 HTTP/1.1',
  ]);
});

test('a socket path may hold blanks, written as %20', () => {
  expect(parseTarget('http://unix:/a%20b.sock:/x')).toMatchObject({ socketPath: '/a b.sock', path: '/x' });
  expect(parseTarget('tcp://unix:/a.sock')).toMatchObject({ protocol: 'tcp', socketPath: '/a.sock' });
});

test('the command line has every option by the same name', () => {
  const command = parseLoadCommand([
    ...['-c', '1k', '--threads', '2', '-d', '3s', '--requests=1.5M', '-R', '0.5', '-X', 'PUT', '-p', '4'],
    ...[
      '-H',
      'A: b',
      '--headers',
      'A:c',
      '-H',
      'D:',
      '-b',
      'x',
      '--timeout',
      '1s',
      '--warmup',
      '2s',
      '--expect',
      '2xx',
    ],
    ...['--protocol', 'p.js', '--json', '--report', 'r.html', '--hdr', 'h', '--csv', 'c'],
    ...['--require', 'p99<1s', '--fail', 'rate>1', '--stop-after', '1k', '--timeouts-count', '--script', 's.js'],
    ...['-k', '--servername', 'n', '--resume', url],
  ]);
  expect(command).toEqual({
    options: {
      url,
      connections: 1000,
      threads: 2,
      duration: '3s',
      requests: 1_500_000,
      rate: 0.5,
      method: 'PUT',
      pipelining: 4,
      headers: { A: ['b', 'c'], D: [''] },
      body: 'x',
      timeout: '1s',
      warmup: '2s',
      expect: '2xx',
      protocol: 'p.js',
      require: ['p99<1s', 'rate>1'],
      stopAfter: 1000,
      timeoutsCount: true,
      script: 's.js',
      tls: { rejectUnauthorized: false, servername: 'n' },
      resume: true,
    },
    output: { json: true, report: 'r.html', hdr: 'h', csv: 'c' },
  });
  expect(parseLoadCommand([url])).toEqual({ options: { url }, output: { json: false } });
});

test.each([
  ['-b', '@package.json', readFileSync('package.json')],
  ['--body-file', 'package.json', readFileSync('package.json')],
  ['-b', '@@name', '@name'],
  ['-b', 'a@b', 'a@b'],
])('%s %s', (name, text, body) => {
  expect(parseLoadCommand([name, text, url])?.options).toEqual({ url, body });
});

test('https:// has port 443 and TLS, over a unix socket too', () => {
  expect(parseTarget('HTTPS://h/x?y')).toMatchObject({
    tls: true,
    protocol: 'http',
    port: 443,
    authority: 'h',
    path: '/x?y',
  });
  expect(parseTarget('https://h:8443')).toMatchObject({ tls: true, port: 8443, authority: 'h:8443' });
  expect(parseTarget('https://unix:/a.sock:/x')).toMatchObject({ tls: true, socketPath: '/a.sock', path: '/x' });
  expect(parseTarget('http://h/')).toMatchObject({ tls: false, port: 80 });
});

test('help names every option', () => {
  expect(parseLoadCommand(['--help'])).toBeUndefined();
  expect(parseLoadCommand(['-h', 'x', 'y'])).toBeUndefined();
  const names = ['connections', 'threads', 'duration', 'requests', 'rate', 'method', 'headers', 'body', 'body-file'];
  for (const name of [...names, 'timeout', 'warmup', 'pipelining', 'expect', 'protocol', 'json', 'report']) {
    expect(LOAD_USAGE).toContain(`--${name} `);
  }
});

test.each<[argv: string[], code: string]>([
  [[], 'ERR_OUT_OF_RANGE'],
  [[url, url], 'ERR_OUT_OF_RANGE'],
  [['--nothing', url], 'ERR_PARSE_ARGS_UNKNOWN_OPTION'],
  [['-c'], 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'],
  [['-c', 'many', url], 'ERR_OUT_OF_RANGE'],
  [['-R', '1e3', url], 'ERR_OUT_OF_RANGE'],
  [['-H', 'no colon', url], 'ERR_OUT_OF_RANGE'],
  [['-H', ': no name', url], 'ERR_OUT_OF_RANGE'],
])('wrong usage: %j', (argv, code) => {
  expect(() => parseLoadCommand(argv)).toThrow(coded(code));
});

test('a header may be called __proto__', () => {
  const { options } = parseLoadCommand(['-H', '__proto__: x', url]) ?? {};
  expect(options && Buffer.from(planLoad(options).request).toString()).toContain('\r\n__proto__: x\r\n');
});
