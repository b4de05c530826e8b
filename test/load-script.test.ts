/**
 * Requests that differ: by a list, by a script; answers that a script checks; its setup() and teardown().
 *
 * @module-tag slow
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadOptions, load } from 'epoll-pool/load';
import { expect, onTestFinished, test, vi } from 'vitest';
import { answerOf } from '../dist/shared/load/http-answer.js';
import { cli, startCli } from './support/cli.ts';
import { httpServer, OK, rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

const NONE = { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'epoll-pool-script-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function file(text: string, name = 'script.mjs'): string {
  const path = join(folder(), name);
  writeFileSync(path, text);
  return path;
}

/** A server that keeps each request's first line and body. */
async function keeping(answer = (_head: string, _body: string): string => OK) {
  const seen: Array<{ line: string; head: string; body: string }> = [];
  const server = await httpServer(({ reply }) => {
    const { head, body } = server.last;
    seen.push({ line: head.slice(0, head.indexOf(' HTTP/')), head, body });
    reply(answer(head, body));
  });
  return { server, seen };
}

const LOOPS: ReadonlyArray<[string, Omit<LoadOptions, 'url'>]> = [
  ['closed loop', { threads: 2, connections: 5, requests: 500 }],
  ['open loop', { threads: 2, connections: 5, requests: 500, rate: 2500 }],
  ['pipelining', { threads: 2, connections: 5, requests: 500, pipelining: 4 }],
];

test.each(LOOPS)('%s: request(n) is asked for each n once, without gaps', async (_name, options) => {
  const { server, seen } = await keeping();
  const script = file(`export const request = n => ({ path: '/item/' + n, body: n % 2 ? String(n) : undefined });`);
  const result = await load({ url: server.url, script, ...options });
  expect(result).toMatchObject({ requests: 500, responses: 500, errors: NONE, settings: { script: 'script.mjs' } });
  const numbers = seen.map(({ line }) => Number(/^\w+ \/item\/(\d+)$/.exec(line)?.[1])).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: 500 }, (_, n) => n));
  for (const { line, body } of seen) expect(line.startsWith('POST') ? `POST /item/${body}` : line).toBe(line);
  expect(result.bytesSent).toBe(server.bytesReceived);
});

test('what request(n) leaves out is as the options have it; what it says replaces that', async () => {
  const { server, seen } = await keeping();
  const script = file(`const all = [
    {},
    { method: 'put', path: '/b?x=ü', headers: { 'X-A': 'own', 'X-C': [1, 'two'] }, body: new Uint8Array([65, 66]) },
    { method: 'FOO', body: 'ü' },
  ];
  export default { request: n => all[n] };`);
  const headers = { 'X-A': 'common', 'X-B': 'common' };
  await load({ url: `${server.url}base?q=1`, script, headers, body: 'common', connections: 1, requests: 3 });
  expect(seen.map(({ line, body }) => [line, body])).toEqual([
    ['POST /base?q=1', 'common'],
    ['PUT /b?x=%C3%BC', 'AB'],
    ['FOO /base?q=1', 'ü'],
  ]);
  const lines = seen.map(({ head }) => head.split('\r\n').slice(2));
  expect(lines[0]).toEqual(['X-A: common', 'X-B: common', 'Content-Length: 6']);
  expect(lines[1]).toEqual(['X-B: common', 'X-A: own', 'X-C: 1', 'X-C: two', 'Content-Length: 2']);
  expect(lines[2]).toEqual(['X-A: common', 'X-B: common', 'Content-Length: 2']);
});

test('a Content-Length among the options is that of their body; a script’s requests say their own', async () => {
  const { server, seen } = await keeping();
  const script = file(`const all = [{}, { body: 'longer' }, { method: 'GET', body: '' }];
  export const request = n => all[n];`);
  const headers = { 'content-length': '4', 'X-A': 'b' };
  await load({ url: server.url, script, headers, body: 'four', connections: 1, requests: 3 });
  expect(seen.map(({ line, body, head }) => [line, body, ...head.split('\r\n').slice(2)])).toEqual([
    ['POST /', 'four', 'X-A: b', 'Content-Length: 4'],
    ['POST /', 'longer', 'X-A: b', 'Content-Length: 6'],
    ['GET /', '', 'X-A: b', 'Content-Length: 0'],
  ]);
});

test('bodies larger than a socket takes at once, each its own', async () => {
  let wrong = 0;
  const { server, seen } = await keeping((_head, body) => {
    const letter = body.charAt(0);
    if (body !== letter.repeat(body.length) || body.length < 3_000_000) wrong++;
    return OK;
  });
  const script = file(
    `export const request = n => ({ body: String.fromCharCode(97 + n % 26).repeat(3_000_000 + n) });`,
  );
  const result = await load({ url: server.url, script, threads: 2, connections: 3, requests: 12 });
  expect(result).toMatchObject({ responses: 12, errors: NONE });
  expect(wrong).toBe(0);
  expect(new Set(seen.map(({ body }) => body.length)).size).toBe(12);
});

test('HEAD and GET in turn: the answers to HEAD have no body', async () => {
  const server = await httpServer(({ reply }) => {
    const isHead = server.last.head.startsWith('HEAD');
    reply(isHead ? OK.slice(0, -'hello'.length) : OK);
  });
  const script = file(`export const request = n => ({ method: n % 3 ? 'HEAD' : 'GET' });`);
  for (const pipelining of [1, 5]) {
    const result = await load({ url: server.url, script, connections: 2, pipelining, requests: 90 });
    expect(result).toMatchObject({ responses: 90, errors: NONE });
  }
});

test('a script’s Connection: close ends the connection, and only that one', async () => {
  const { server } = await keeping();
  const script = file(`export const request = n => n % 5 === 4 ? { headers: { Connection: 'close' } } : {};`);
  const result = await load({ url: server.url, script, connections: 1, pipelining: 3, requests: 50 });
  expect(result).toMatchObject({ responses: 50, errors: NONE, retried: 0 });
  expect(server.connections).toBeGreaterThanOrEqual(10);
  expect(server.connections).toBeLessThanOrEqual(11);
});

test.each([
  ['a throw', `throw new Error('no more of them')`, 'no more of them'],
  ['no object', 'return 5', 'what request() returns must be an object'],
  ['nothing', '', 'what request() returns must be an object'],
  ['a promise', 'return Promise.resolve({})', 'what request() returns must be an object'],
  ['a path that is none', `return { path: 'x' }`, 'path must be'],
  ['a second request in the path', String.raw`return { path: '/ HTTP/1.1\r\n\r\nGET /' }`, 'path must be'],
  ['a second request in a header', String.raw`return { headers: { a: 'b\r\n\r\nGET /' } }`, 'Invalid character'],
  ['a body that is none', 'return { body: 5 }', 'body must be'],
  ['a body that is too long', 'return { body: new Uint8Array(20_000_000) }', 'at most 16777216 bytes'],
])('request(n) that gives %s ends the test with words for it', async (_what, code, message) => {
  const { server } = await keeping();
  const script = file(`export function request(n) { if (n < 20) return {}; ${code} }`);
  await expect(load({ url: server.url, script, connections: 3, duration: '30s' })).rejects.toThrow(message);
});

test('check(): status, headers, body; refused, nothing and a throw are errors', async () => {
  const chunked =
    'HTTP/1.1 200 OK\r\nX-Two: a\r\nx-two: b\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';
  const server = await httpServer(({ index, reply }) => reply(index % 2 ? chunked : OK.replace('200', '404')));
  const script = file(`let n = 0;
  export function check({ status, headers, body }) {
    const text = Buffer.from(body).toString();
    const right = status === 404
      ? text === 'hello' && headers['content-length'] === '5'
      : status === 200 && text === 'abcde' && headers['x-two'] === 'a, b' && headers['transfer-encoding'] === 'chunked';
    if (!right) throw new Error('wrong: ' + JSON.stringify({ status, headers, text }));
    n++;
    if (n === 10) return false;
    if (n === 20) return undefined;
    if (n === 30) throw new Error('the thirtieth');
    return true;
  }`);
  const options = { url: server.url, script, threads: 1, connections: 3 };
  const result = await load({ ...options, requests: 100 });
  expect(result).toMatchObject({ responses: 100, errors: { ...NONE, check: 3 }, errorCount: 3 });
  expect(result.errorDetails).toEqual({ 'check refused the answer': 2, 'check threw': 1 });
  expect(result.warnings).toEqual(['check() of the script threw: the thirtieth']);
  // With --expect, status codes are judged as well; an answer is one error at most.
  const expected = await load({ ...options, requests: 100, expect: 200 });
  expect(expected.errors.check).toBe(3);
  expect(expected.errors.status).toBeGreaterThanOrEqual(47);
  expect(expected.errorCount).toBeLessThanOrEqual(53);
  const refusing = file('export const check = () => false;');
  const once = await load({ url: server.url, script: refusing, connections: 3, requests: 20, expect: 500 });
  expect(once.errors).toEqual({ ...NONE, check: 20 });
});

test('check() sees whole bodies, however they come', async () => {
  const body = 'x'.repeat(200_000);
  const responses = [
    `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    `HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\n\n${body}`,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`3e8\r\n${'x'.repeat(1000)}\r\n`.repeat(200)}0\r\nT: r\r\n\r\n`,
  ];
  const server = await httpServer(({ index, socket, reply }) => {
    const text = responses[index % 3] ?? '';
    for (let i = 0; i < text.length; i += 30_011) reply(text.slice(i, i + 30_011));
    if (index % 3 === 1) socket.end();
  });
  const script = file(
    `export const check = ({ body }) => body.length === 200_000 && body.every(byte => byte === 120);`,
  );
  for (const rate of [undefined, 300]) {
    const result = await load({
      url: server.url,
      script,
      threads: 2,
      connections: 3,
      requests: 60,
      ...(rate && { rate }),
    });
    expect(result).toMatchObject({ responses: 60, errors: NONE });
  }
});

test('an answer taken apart: interim ones before it, folded lines, LF alone, names of any kind', () => {
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  const folded = answerOf(200, bytes('HTTP/1.1 200 OK\nA: b\n  c\nX-Two: 1\nx-tWO: 2\n__proto__: x\nnone\n\nbody'));
  expect({ ...folded.headers }).toEqual({ a: 'b c', 'x-two': '1, 2', ['__proto__']: 'x' });
  expect(Buffer.from(folded.body).toString()).toBe('body');
  const interim = 'HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n';
  const late = answerOf(201, bytes(`${interim}HTTP/1.0 201 Created\r\nB: c\r\n\r\n`));
  expect({ status: late.status, headers: { ...late.headers }, length: late.body.length }).toEqual({
    status: 201,
    headers: { b: 'c' },
    length: 0,
  });
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n';
  const chunked = answerOf(200, bytes(`${head}3\r\nabc\r\nA;x=y\n0123456789\n0\r\nTrailer: x\r\n\r\n`));
  expect(Buffer.from(chunked.body).toString()).toBe('abc0123456789');
});

test('what check() is given it may keep', async () => {
  const server = await httpServer(({ index, reply }) => {
    const text = `answer ${index}`;
    reply(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  });
  const script = file(`const kept = [];
  export function check({ body }) {
    kept.push({ body, text: Buffer.from(body).toString() });
    return kept.every(({ body, text }) => Buffer.from(body).toString() === text);
  }`);
  expect(await load({ url: server.url, script, threads: 1, connections: 2, requests: 50 })).toMatchObject({
    responses: 50,
    errors: NONE,
  });
});

test('of what check() throws the first is told; an answer that is too long is not checked', async () => {
  const { server } = await keeping();
  const script = file('let n = 0; export function check() { throw new Error("number " + ++n); }');
  const result = await load({ url: server.url, script, threads: 1, connections: 1, requests: 5 });
  expect(result).toMatchObject({ errors: { ...NONE, check: 5 }, warnings: ['check() of the script threw: number 1'] });
  const long = 'x'.repeat(17_000_000);
  const large = await httpServer(({ reply }) =>
    reply(`HTTP/1.1 200 OK\r\nContent-Length: ${long.length}\r\n\r\n${long}`),
  );
  const fine = file('export const check = () => true;');
  const checked = await load({ url: large.url, script: fine, connections: 1, requests: 2 });
  expect(checked).toMatchObject({ responses: 2, errors: { ...NONE, check: 2 }, errorDetails: { 'check threw': 2 } });
  expect(checked.warnings).toContain('check() of the script threw: an answer of more than 16777216 bytes was not kept');
});

test('a request that is sent again is the same bytes; request() is not asked again', async () => {
  const lines: string[] = [];
  const server = await httpServer(({ socket, nth, reply }) => {
    lines.push(server.last.head.slice(0, server.last.head.indexOf(' HTTP/')));
    if (nth === 2) socket.end();
    else reply(OK);
  });
  const script = file(`export const request = n => ({ method: 'PUT', path: '/' + n, body: 'b'.repeat(n) });`);
  const result = await load({ url: server.url, script, threads: 2, connections: 3, requests: 100 });
  expect(result).toMatchObject({ requests: 100, responses: 100, errors: NONE });
  expect(result.retried).toBeGreaterThan(20);
  expect(lines).toHaveLength(100 + result.retried);
  expect(new Set(lines)).toEqual(new Set(Array.from({ length: 100 }, (_, n) => `PUT /${n}`)));
});

test('Host, Authorization and Transfer-Encoding of a script; Content-Length is not for it to say', async () => {
  const heads: string[][] = [];
  const { authority } = await rawServer(socket => {
    socket.on('data', data => {
      heads.push(String(data).split('\r\n'));
      socket.write(OK);
    });
  });
  const script = file(`const all = [
    {},
    { headers: { host: 'other', authorization: 'own' } },
    { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: '1\\r\\nx\\r\\n0\\r\\n\\r\\n' },
    { headers: { 'content-length': 5 }, body: 'hello' },
  ];
  export const request = n => all[n];`);
  const url = `http://u:p@${authority}/`;
  await load({ url, script, connections: 1, requests: 3 });
  const basic = `Authorization: Basic ${Buffer.from('u:p').toString('base64')}`;
  expect(heads.map(lines => lines.slice(1, lines.indexOf('')))).toEqual([
    [`Host: ${authority}`, basic],
    ['host: other', 'authorization: own'],
    [`Host: ${authority}`, basic, 'transfer-encoding: chunked'],
  ]);
  await expect(load({ url, script, connections: 1, requests: 4 })).rejects.toThrow('without Content-Length');
  await expect(load({ url, script, urls: ['/a'] })).rejects.toThrow(
    "urls must be given only without a script's request()",
  );
});

test('a check() that is async would be asked in vain: it ends the test', async () => {
  const { server } = await keeping();
  const script = file('export const check = async () => true;');
  await expect(load({ url: server.url, script, duration: '30s' })).rejects.toThrow('no promise');
});

test('setup() and teardown() run once, awaited; what setup() gives goes to all', async () => {
  const { server, seen } = await keeping();
  const log = join(folder(), 'log');
  const script = file(`import { appendFileSync } from 'node:fs';
  import { isMainThread } from 'node:worker_threads';
  import { setTimeout as sleep } from 'node:timers/promises';
  const log = text => appendFileSync(${JSON.stringify(log)}, text + (isMainThread ? '' : ' in a thread') + '\\n');
  export async function setup() { log('setup'); await sleep(50); log('set up'); return { token: 'secret' }; }
  export const request = (n, { token }) => ({ path: '/' + token });
  export const check = (answer, { token }) => token === 'secret';
  export async function teardown({ token }) { log('teardown ' + token); await sleep(50); log('torn down'); }`);
  const result = await load({ url: server.url, script, threads: 2, connections: 4, requests: 20 });
  expect(result).toMatchObject({ responses: 20, errors: NONE });
  expect(new Set(seen.map(({ line }) => line))).toEqual(new Set(['GET /secret']));
  expect(readFileSync(log, 'utf8')).toBe('setup\nset up\nteardown secret\ntorn down\n');
});

test('teardown() runs after a failure, and not when setup() has failed; what they throw is what load() rejects with', async () => {
  const { server } = await keeping();
  const log = join(folder(), 'log');
  const script = (setup: string, request: string, teardown: string) =>
    file(`import { appendFileSync } from 'node:fs';
    export const setup = () => { ${setup} };
    export const request = () => { ${request} };
    export const teardown = () => { appendFileSync(${JSON.stringify(log)}, 'torn '); ${teardown} };`);
  const run = (path: string) => load({ url: server.url, script: path, requests: 5 });
  await expect(run(script('', `throw new Error('request')`, ''))).rejects.toThrow('request');
  await expect(run(script('', 'return {}', `throw new Error('teardown')`))).rejects.toThrow('teardown');
  await expect(run(script(`throw new Error('setup')`, 'return {}', ''))).rejects.toThrow('setup');
  expect(readFileSync(log, 'utf8')).toBe('torn torn ');
});

test('Ctrl-C: teardown() runs, and what was measured is printed', async () => {
  const { server } = await keeping();
  const log = join(folder(), 'log');
  const script = file(`import { appendFileSync } from 'node:fs';
  export const request = n => ({});
  export const teardown = () => appendFileSync(${JSON.stringify(log)}, 'torn down');`);
  const { child, result } = startCli(['load', '-d', '1h', '--script', script, '--json', server.url]);
  await vi.waitFor(() => expect(server.requests).toBeGreaterThan(100), { timeout: 30_000 });
  child.kill('SIGINT');
  const { code, stdout } = await result;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ interrupted: true, stopped: 'interrupted' });
  expect(readFileSync(log, 'utf8')).toBe('torn down');
});

test('--urls: a line each, in turn', async () => {
  const { server, seen } = await keeping();
  const urls = file('# what is asked\n/a?x=1\n\n  DELETE /b \r\nPOST  /c\n', 'urls.txt');
  const { code, stdout } = await cli([
    'load',
    '-c',
    '1',
    '-n',
    '6',
    '--urls',
    urls,
    '-H',
    'X: y',
    '--json',
    server.url,
  ]);
  expect(code).toBe(0);
  expect(seen.map(({ line }) => line)).toEqual([
    'GET /a?x=1',
    'DELETE /b',
    'POST /c',
    'GET /a?x=1',
    'DELETE /b',
    'POST /c',
  ]);
  for (const { head } of seen) expect(head).toContain('\r\nX: y');
  expect(JSON.parse(stdout)).toMatchObject({ method: 'GET, DELETE, POST', settings: { urls: 3 } });
  expect(JSON.parse(stdout).bytesSent).toBe(server.bytesReceived);
});

test('urls in load(), over several connections: each as often as the others', async () => {
  const { server, seen } = await keeping(head => (head.startsWith('HEAD') ? OK.slice(0, -'hello'.length) : OK));
  const urls = ['/a', '/b', 'HEAD /c'];
  const result = await load({ url: server.url, urls, threads: 2, connections: 5, pipelining: 2, requests: 300 });
  expect(result).toMatchObject({ responses: 300, errors: NONE });
  const times = (line: string) => seen.filter(one => one.line === line).length;
  expect([times('GET /a'), times('GET /b'), times('HEAD /c')]).toEqual([100, 100, 100]);
});

test.each([
  ['urls', { urls: ['nonsense here'] }, 'line 1 is not'],
  ['urls', { urls: [] }, 'urls must be'],
  ['urls', { urls: '/a' }, 'urls must be'],
  ['script', { script: '/nowhere.mjs' }, '/nowhere.mjs'],
])('wrong %s: %o', async (_name, options, message) => {
  const wrong: unknown = { url: 'http://127.0.0.1:1', ...options };
  await expect(Reflect.apply(load, undefined, [wrong])).rejects.toThrow(message);
});

test('a module that is no script, or a file that is not there, is wrong usage; a throw is not', async () => {
  const { server } = await keeping();
  const run = (...args: string[]) => cli(['load', '-n', '5', ...args, server.url]);
  expect(await run('--script', file('export const x = 1;'))).toMatchObject({ code: 2, stdout: '' });
  expect(await run('--script', '/nowhere.mjs')).toMatchObject({ code: 2, stdout: '' });
  expect(await run('--urls', '/nowhere')).toMatchObject({ code: 2, stdout: '' });
  expect(await run('--urls', file('what?', 'urls'))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--urls'),
  });
  const thrown = await run('--script', file(`export const request = () => { throw new TypeError('my own words'); };`));
  expect(thrown).toMatchObject({ code: 1, stdout: '', stderr: 'epoll-pool load: my own words\n' });
  const coded = `export const request = () => { throw Object.assign(new Error('gone'), { code: 'ENOENT' }); };`;
  expect(await run('--script', file(coded))).toMatchObject({ code: 1, stdout: '', stderr: 'epoll-pool load: gone\n' });
  const top = `import { readFileSync } from 'node:fs'; readFileSync('/nowhere'); ${coded}`;
  const missing = await run('--script', file(top));
  expect(missing).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^epoll-pool load: ENOENT.*\n$/),
  });
  const early = `${coded.replace('request', 'setup')} export const check = () => true;`;
  expect(await run('--script', file(early))).toMatchObject({ code: 1, stdout: '', stderr: 'epoll-pool load: gone\n' });
  expect(server.requests).toBe(0);
});
