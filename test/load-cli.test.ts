/**
 * `epoll-pool load`, `merge` and `inspect`: output, exit codes, Ctrl-C.
 *
 * @module-tag slow
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { cli, cliInShell, cliOnTerminal, cliWithFiles, hasTerminal, startCli } from './support/cli.ts';
import { httpServer, NOBODY, OK, rawServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 120_000 });

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'epoll-pool-load-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('a table, and nothing but it: code 0', async () => {
  const server = await httpServer();
  const { code, stdout, stderr } = await cli(['load', '-c', '3', '-t', '2', '-n', '1k', server.url]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.startsWith(`GET ${server.url}\n3 connections, 2 threads, closed loop`)).toBe(true);
  expect(stdout).toMatch(/Status +2xx 1,000\nErrors +none/);
  expect(server.requests).toBe(1000);
});

test('--json is the whole result, --report a page; merge makes one of several', async () => {
  const server = await httpServer();
  const dir = folder();
  const report = join(dir, 'report.html');
  const args = ['load', '-n', '200', '-R', '1k', '--json', '--report', report, server.url];
  const runs = await Promise.all([cli(args), cli(args)]);
  const files = runs.map(({ code, stdout, stderr }, i) => {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ format: 1, responses: 200, settings: { rate: 1000 } });
    const file = join(dir, `${i}.json`);
    writeFileSync(file, stdout);
    return file;
  });
  expect(readFileSync(report, 'utf8')).toMatch(/^<!doctype html>/);
  const merged = await cli(['merge', '--json', ...files]);
  expect(merged).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(merged.stdout)).toMatchObject({ responses: 400, settings: { rate: 2000, connections: 20 } });
  const page = join(dir, 'merged.html');
  const text = await cli(['merge', '--report', page, ...files]);
  expect(text.stdout).toMatch(/\n\nWritten {3}\S+\n$/);
  expect(text.stdout).toContain(`Written   ${page}`);
  expect(text).toMatchObject({ code: 0, stderr: '' });
  expect(text.stdout).toMatch(/Status +2xx 400/);
  expect(existsSync(page)).toBe(true);
  const twice = await cli(['merge', ...files, `${dir}/./0.json`]);
  expect(twice).toMatchObject({ code: 2, stdout: '' });
  expect(twice.stderr).toContain('0.json is given twice');
});

test('no answer at all: code 1, a warning, and no latencies of 0', async () => {
  const server = await rawServer(socket => socket.destroy());
  for (const rate of [[], ['-R', '50']]) {
    const args = ['-c', '2', '-d', '500ms', '--timeout', '500ms', ...rate, `http://127.0.0.1:${server.port}`];
    const { code, stdout } = await cli(['load', ...args]);
    expect({ rate, code }).toEqual({ rate, code: 1 });
    expect(stdout).toContain('! No request was answered.');
    expect(stdout).toMatch(/^Latency .*\n +- +- /m);
  }
});

test('a body from stdin or from a pipe is there, though it can be read only once', async () => {
  const bodies: string[] = [];
  const server = await rawServer(socket => {
    let text = '';
    socket.on('data', data => {
      text += data;
      if (!text.endsWith('6 bytes')) return;
      bodies.push(text.slice(text.indexOf('\r\n\r\n') + 4));
      socket.write(OK);
    });
  });
  const args = (...more: string[]) => ['load', '-n', '1', ...more, `http://127.0.0.1:${server.port}/`];
  for (const script of ['printf "6 bytes" | "$@"', 'printf "6 bytes" > f; exec "$@" < f; rm f']) {
    expect(await cliInShell(`cd ${folder()}; ${script}`, args('-b', '@-'))).toMatchObject({ code: 0, stderr: '' });
  }
  const fifo = join(folder(), 'fifo');
  const script = `mkfifo ${fifo}; printf "6 bytes" > ${fifo} & "$@"`;
  expect(await cliInShell(script, args('--body-file', fifo))).toMatchObject({ code: 0, stderr: '' });
  expect(bodies).toEqual(['6 bytes', '6 bytes', '6 bytes']);
});

test('a script that is not there, or that is none, is named, and nothing of this package is', async () => {
  const [dir, server] = [folder(), await httpServer()];
  const missing = await cli(['load', '-n', '1', '--script', join(dir, 'none.mjs'), server.url]);
  expect(missing).toMatchObject({ code: 2, stdout: '' });
  expect(missing.stderr).toMatch(/^epoll-pool load: Cannot find module '[^']*none\.mjs'\n/);
  const broken = join(dir, 'broken.mjs');
  writeFileSync(broken, 'export function request( {');
  const result = await cli(['load', '-n', '1', '--script', broken, server.url]);
  expect(result).toMatchObject({ code: 1, stdout: '' });
  expect(result.stderr).toContain(`epoll-pool load: ${broken}: `);
});

test('what is wrong with an option names it, before anything is sent: code 2', async () => {
  const [dir, server] = [folder(), await httpServer()];
  const typed = join(dir, 'script.ts');
  writeFileSync(typed, 'export const request = (n: number) => ({});');
  const none = join(dir, 'none');
  const below = join(typed, 'none');
  const http = [server.url];
  const https = ['https://127.0.0.1:9/'];
  const wrong: Array<[args: string[], message: string]> = [
    [[], '<url> must be given'],
    [['--urls', dir, ...http], `--urls must be a file, not a directory; received '${dir}'`],
    [['--urls', below, ...http], `--urls cannot be read: ENOTDIR: not a directory, open '${below}'`],
    [['-b', `@${none}`, ...http], `--body cannot be read: ENOENT: no such file or directory, open '${none}'`],
    [['--body-file', below, ...http], `--body-file cannot be read: ENOTDIR: not a directory, open '${below}'`],
    [['--cacert', dir, ...https], `--cacert must be a file, not a directory; received '${dir}'`],
    [['--key', none, ...https], `--key cannot be read: ENOENT: no such file or directory, open '${none}'`],
    [['--cert', typed, ...https], '--cert: error:0480006C:PEM routines::no start line'],
    [['--key', typed, ...https], '--key: error:'],
    [['-k', ...http], '--insecure, --cacert, --cert, --key and --servername must be for https:// only'],
    [['--resume', ...http], '--resume must be for https:// only'],
    [['-H', 'X : y', ...http], '--headers: Header name must be a valid HTTP token ["X "]'],
    [['-H', 'X: y\r\nZ: w', ...http], '--headers: Invalid character in header content ["X"]'],
    [['-H', 'Content-Length: 3', ...http], `--headers ["content-length"] must be the body's length, 0; received '3'`],
    [['--script', dir, ...http], `Directory import '${dir}' is not supported\n`],
    [['--script', typed, ...http], `Unknown file extension ".ts" for ${typed}\n`],
    [['--protocol', none, `tcp://127.0.0.1:${new URL(server.url).port}`], `Cannot find module '${none}'\n`],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await cli(['load', '-n', '1', ...args]);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toContain(`epoll-pool load: ${message}`);
  }
  expect(server.requests).toBe(0);
});

test('errors, or statuses that were not expected: code 1', async () => {
  const server = await httpServer(({ reply }) => reply(OK.replace('200', '404')));
  const refused = await cli(['load', '-n', '5', NOBODY]);
  expect(refused).toMatchObject({ code: 1, stderr: '' });
  expect(refused.stdout).toContain('ECONNREFUSED');
  const missing = await cli(['load', '-n', '5', server.url]);
  expect(missing).toMatchObject({ code: 1, stderr: '' });
  expect(missing.stdout).toContain('status 404');
  expect(await cli(['load', '-n', '5', '--expect', '404', server.url])).toMatchObject({ code: 0 });
});

test.each([
  [['load'], '<url>'],
  [['load', '-c', '0', 'http://localhost'], '--connections must be'],
  [['load', '-b', 'x', '--body-file', 'y', 'http://localhost'], '--body-file must be'],
  [['load', 'ftp://localhost'], '<url> must be an address'],
  [['load', '-k', 'http://localhost'], 'for https:// only'],
  [['load', '--connections', 'many', 'http://localhost'], '--connections'],
  [['load', '--nonsense', 'http://localhost'], '--nonsense'],
  [['load', '-c', '1M', 'http://127.0.0.1:1'], 'RLIMIT_NOFILE'],
  [['load', '--body-file', '/nowhere/body', 'http://localhost'], '/nowhere/body'],
  [['load', '--protocol', '/nowhere/protocol.mjs', 'tcp://127.0.0.1:1'], '/nowhere/protocol.mjs'],
  [['load', '--report', '/nowhere/report.html', 'http://127.0.0.1:1'], '/nowhere/report.html'],
  [['merge'], 'no results'],
  [['merge', '/nowhere/result.json'], '/nowhere/result.json'],
  [['merge', 'package.json'], 'package.json'],
  [['merge', 'test'], 'test is a directory'],
  [['load', '--body-file', 'test', 'http://localhost'], '--body-file must be a file'],
  [['load', 'tcp://localhost:1'], 'protocol'],
  [['inspect', 'me'], "not 'me'"],
])('%j is wrong usage: code 2', async (args, word) => {
  const { code, stdout, stderr } = await cli(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(word);
  expect(stderr).toContain(`epoll-pool ${args[0]}: `);
});

test.each(['load', 'merge', 'inspect'])('%s --help', async command => {
  const { code, stdout, stderr } = await cli([command, '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.startsWith(`Usage: epoll-pool ${command} `)).toBe(true);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(125);
});

test('inspect shows what this process watches', async () => {
  const { code, stdout } = await cli(['inspect', String(process.pid), '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ pid: process.pid });
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s prints what was measured so far', async signal => {
  const server = await httpServer();
  const { child, result } = startCli(['load', '-d', '1h', '--json', server.url]);
  await vi.waitFor(() => expect(server.requests).toBeGreaterThan(100), { timeout: 30_000 });
  child.kill(signal);
  const { code, stdout, stderr } = await result;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { interrupted, responses } = JSON.parse(stdout);
  expect(interrupted).toBe(true);
  expect(responses).toBeGreaterThan(0);
});

test('Ctrl-C while the server does not answer', async () => {
  const server = await httpServer(() => {});
  const { child, result } = startCli(['load', '-d', '1h', '--timeout', '1h', server.url]);
  await vi.waitFor(() => expect(server.requests).toBe(10), { timeout: 30_000 });
  child.kill('SIGINT');
  const { stdout } = await result;
  expect(stdout).toContain('Interrupted after');
});

test.runIf(hasTerminal)('a progress bar on a terminal, gone when the result comes', async () => {
  const server = await httpServer();
  const { code, stdout } = await cliOnTerminal(['load', '-d', '1s', server.url], { TERM: 'xterm', NO_COLOR: '1' });
  expect(code).toBe(0);
  expect(stdout).toMatch(/█+░* \d+%/);
  const shown = stdout.slice(stdout.lastIndexOf('\x1b[2K') + '\x1b[2K'.length);
  expect(shown.startsWith('GET ')).toBe(true);
});

test.runIf(hasTerminal).each([40, 20])(
  'on a terminal of %i columns the progress bar keeps to one line',
  async width => {
    const server = await httpServer();
    const env = { TERM: 'xterm', NO_COLOR: '1' };
    const { stdout } = await cliOnTerminal(['load', '-d', '1s', server.url], env, width);
    const lines = stdout.split('\r\x1b[2K').slice(1, -1);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(line.length).toBeLessThan(width);
    expect(lines.some(line => line.includes('█'))).toBe(width === 40);
  },
);

test.each([64, 96, 128])('with %i fds the largest -c is named, and works', async files => {
  const server = await httpServer();
  const run = (connections: number, rate: readonly string[]) =>
    cliWithFiles(files, ['load', '-t', '2', '-c', String(connections), '-d', '300ms', ...rate, server.url]);
  for (const rate of [[], ['-R', '500']]) {
    const refused = await run(1000, rate);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    const most = Number(/at most (\d+) here/.exec(refused.stderr)?.[1]);
    expect(most).toBeGreaterThan(files - 48);
    expect(await run(most, rate)).toMatchObject({ code: 0, stderr: '' });
    expect(await run(most + 1, rate)).toMatchObject({ code: 2, stdout: '' });
  }
});

test('a full disk, and a reader that has left: said in words, with the exit code for it', async () => {
  const server = await httpServer();
  const shell = (line: string) => cliInShell(line, ['load', '-n', '5', server.url]);
  expect(await shell('exec "$@" > /dev/full')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^epoll-pool: the output could not be written: ENOSPC[^\n]*\n$/),
  });
  const left = await shell('{ "$@"; echo "code $?" >&2; } | true');
  expect(left.stderr).toBe('code 141\n');
  const report = await cli(['load', '-n', '5', '--report', '/dev/full', server.url]);
  expect(report.code).toBe(1);
  expect(report.stderr).toMatch(/^epoll-pool load: --report \/dev\/full could not be written: ENOSPC/);
  expect(report.stdout).toContain('Errors    none');
});

test('files that cannot be written are refused before the test, and so is one that two options would write', async () => {
  const [dir, server] = [folder(), await httpServer()];
  const run = (...args: string[]) => cli(['load', '-n', '5', ...args, server.url]);
  const same = join(dir, 'same');
  const existing = join(dir, 'existing');
  writeFileSync(existing, '');
  symlinkSync(existing, join(dir, 'link'));
  const wrong: Array<[args: string[], message: string]> = [
    [['--report', ''], '--report  cannot be written: it has no name'],
    [['--hdr', `${dir}/new/`], `--hdr ${dir}/new/ cannot be written: it is a folder`],
    [['--csv', dir], `--csv ${dir} cannot be written: it is a folder`],
    [['--report', join(same, 'x')], 'ENOENT'],
    [['--report', same, '--csv', `${dir}/./same`], `--csv ${dir}/./same cannot be written: it is --report's file`],
    [['--hdr', existing, '--csv', join(dir, 'link')], "it is --hdr's file"],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await run(...args);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toContain(message);
  }
  expect(server.requests).toBe(0);
  expect(await run('--hdr', '/dev/null', '--csv', '/dev/null')).toMatchObject({ code: 0, stderr: '' });
});
