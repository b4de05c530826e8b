/**
 * What npm packs is what a user installs: its files, its imports, and the README's examples, run from a folder of theirs.
 *
 * @module-tag slow
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { unusedPort } from './support/load-server.ts';
import { ROOT } from './support/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-user-'));
const modules = join(folder, 'node_modules');
let files: string[] = [];

beforeAll(() => {
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], {
    cwd: ROOT,
  });
  mkdirSync(modules);
  execFileSync('tar', ['xzf', join(folder, packed.toString().trim()), '-C', modules]);
  execFileSync('mv', [join(modules, 'package'), join(modules, 'epoll-pool')]);
  for (const name of ['koffi', 'piscina', '@koromix'])
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  files = execFileSync('find', ['-type', 'f'], { cwd: join(modules, 'epoll-pool') })
    .toString()
    .trim()
    .split('\n');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A page's block of code that begins with a comment naming the file. */
function example(name: string, page = 'README.md', language = 'js'): string {
  const blocks = readFileSync(join(ROOT, page), 'utf8').split('```');
  const begin = language === 'js' ? `js\n// ${name}` : `${language}\n${name}`;
  const block = blocks.find(part => part.startsWith(begin));
  expect(block).toBeDefined();
  return (block ?? '').slice(language.length + 1);
}

function recipe(): string {
  return readFileSync(join(ROOT, 'docs', 'load-on-kubernetes.md'), 'utf8');
}

function start(name: string, env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [name], { cwd: folder, env: { ...process.env, ...env }, timeout: 20_000 });
}

test('holds built JavaScript, types and maps, and what a user should read; no tests, no sources', () => {
  const known = /^\.\/dist\/.*\.(c?js|d\.c?ts|c?js\.map)$|^\.\/docs\/.*\.(md|svg)$|^\.\/examples\/.*\.mjs$/;
  const other = files.filter(file => !known.test(file)).sort();
  expect(other).toEqual(['./CHANGELOG.md', './LICENSE', './README.md', './SECURITY.md', './package.json']);
  expect(files).toContain('./docs/load-on-kubernetes.md');
  for (const entry of [
    'main/index',
    'main/load/index',
    'main/server/index',
    'worker/index',
    'shared/kernel/sys',
    'main/cli',
  ]) {
    for (const end of ['js', 'd.ts', 'js.map']) expect(files).toContain(`./dist/${entry}.${end}`);
  }
});

test('asks for koffi and piscina at run time, and nothing else', () => {
  const manifest: { dependencies: object } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(Object.keys(manifest.dependencies).sort()).toEqual(['koffi', 'piscina']);
});

test("the README's first example prints its five lines", async () => {
  writeFileSync(join(folder, 'ticks.mjs'), example('ticks.mjs'));
  const child = start('ticks.mjs');
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(output).toMatch(/^(fd \d+ ticked \d+ time\(s\)\n){5}$/);
  expect(code).toBe(0);
});

test("the README's server answers, and its load tests pass", async () => {
  const port = await unusedPort();
  writeFileSync(join(folder, 'server.mjs'), example('server.mjs').replaceAll('8080', String(port)));
  writeFileSync(join(folder, 'handler.mjs'), example('handler.mjs'));
  const server = start('server.mjs');
  const errors = text(server.stderr);
  try {
    const [line] = await once(server.stdout, 'data');
    expect(String(line)).toContain(`localhost:${port}/hash`);
    const answer = async (path: string): Promise<string> => (await fetch(`http://localhost:${port}${path}`)).text();
    expect(await answer('/')).toBe('hello\n');
    expect(await answer('/hash')).toMatch(/^[0-9a-f]{64}\n$/);
    const commands = [
      ...example('npx epoll-pool load', 'README.md', 'sh').matchAll(/^npx epoll-pool (.*?)(?: +#.*)?$/gm),
    ];
    expect(commands).toHaveLength(3);
    for (const [, line = ''] of commands) {
      // For a moment only, on a machine that may stand still.
      const args = line.replace('8080', String(port)).replace('500ms', '20s').replaceAll("'", '').split(' ');
      const child = command(...args, '-d', '300ms', '--json');
      const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      expect(JSON.parse(output)).toMatchObject({ errorCount: 0 });
      expect(code).toBe(0);
    }
    expect(readFileSync(join(folder, 'load.html'), 'utf8')).toContain('</html>');
  } finally {
    server.kill('SIGINT');
  }
  expect(await once(server, 'exit')).toEqual([0, null]);
  expect(await errors).toBe('');
});

/** The command as npm installs it. */
function command(...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [join(modules, 'epoll-pool', 'dist', 'main', 'cli.js'), ...args], {
    cwd: folder,
    timeout: 20_000,
  });
}

async function listening(server: Server): Promise<number> {
  server.listen(0);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('the load test for vitest passes', async () => {
  symlinkSync(join(ROOT, 'node_modules', 'vitest'), join(modules, 'vitest'));
  const source = example('latency.test.mjs', 'docs/load.md').replaceAll('8080', String(await unusedPort()));
  // This machine may stand still for longer than a server should.
  writeFileSync(join(folder, 'latency.test.mjs'), source.replace('toBeLessThan(50)', 'toBeLessThan(5000)'));
  const args = [join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', folder, '--testTimeout', '25000'];
  const child = spawn(process.execPath, args, { cwd: folder, timeout: 28_000 });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(output).toContain('1 passed');
  expect(code).toBe(0);
});

test('the protocol and the script of docs/load.md', async () => {
  writeFileSync(join(folder, 'lines.mjs'), example('lines.mjs', 'docs/load.md'));
  const port = await listening(createServer(socket => socket.on('error', () => {}).pipe(socket)));
  const child = command('load', '--protocol', 'lines.mjs', '-n', '500', '--json', `tcp://localhost:${port}`);
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(JSON.parse(output)).toMatchObject({ requests: 500, responses: 500, errorCount: 0 });
  expect(code).toBe(0);
  writeFileSync(join(folder, 'script.mjs'), example('script.mjs', 'docs/load.md'));
  const seen = new Set<string>();
  const created = http.createServer((request, response) => {
    seen.add(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.writeHead(201, { 'content-type': 'application/json' }).end('{}');
  });
  const url = `http://localhost:${await listening(created)}/`;
  const scripted = command('load', '--script', 'script.mjs', '-n', '50', '--json', url);
  const [result, [end]] = await Promise.all([text(scripted.stdout), once(scripted, 'exit')]);
  expect(JSON.parse(result)).toMatchObject({ responses: 50, errorCount: 0 });
  expect(end).toBe(0);
  expect(seen).toEqual(new Set(Array.from({ length: 50 }, (_, n) => `POST /items/${n} secret`)));
});

test('the script of the Kubernetes Job prints a result and nothing else; those of several pods merge', async () => {
  const [, block = ''] = /- \|\n([\s\S]*?)\n {10}resources:/.exec(recipe()) ?? [];
  const script = block
    .replaceAll(/^ {14}/gm, '')
    .replace('5s', '100ms')
    .replace('60s', '300ms')
    .replace('5000', '500');
  expect(script).toContain('--warmup 100ms --duration 300ms');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(join('..', 'epoll-pool', 'dist', 'main', 'cli.js'), join(modules, '.bin', 'epoll-pool'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const pods = async (npm: string, index: number): Promise<[log: string, code: unknown]> => {
    writeFileSync(join(bin, 'npm'), `#!/bin/sh\necho added 3 packages\n${npm}\n`, { mode: 0o755 });
    const target = index === 0 ? url : `${url}missing`;
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, START: '0', TARGET: target };
    const child = spawn('sh', ['-c', `exec 2>&1\n${script}`], { cwd: folder, env, timeout: 20_000 });
    const [log, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    return [log, code];
  };
  const server = http.createServer((request, response) => {
    response.statusCode = request.url === '/' ? 200 : 404;
    response.end();
  });
  const url = `http://127.0.0.1:${await listening(server)}/`;
  const logs = [await pods('exit 0', 0), await pods('exit 0', 1)];
  const files = logs.map(([log, code], i) => {
    expect(code).toBe(0);
    expect(JSON.parse(log)).toMatchObject({ responses: 150, errorCount: i === 0 ? 0 : 150 });
    writeFileSync(join(folder, `${i}.json`), log);
    return `${i}.json`;
  });
  const merge = command('merge', '--json', ...files);
  const [merged, [code]] = await Promise.all([text(merge.stdout), once(merge, 'exit')]);
  expect(JSON.parse(merged)).toMatchObject({ responses: 300, statuses: { 200: 150, 404: 150 } });
  expect(code).toBe(1);
  expect((await pods('exit 1', 0))[1]).toBe(2);
});

test('a strict TypeScript program can use it, its libraries checked too', { timeout: 60_000 }, () => {
  writeFileSync(
    join(folder, 'program.ts'),
    `import { Epoll, Events, EPOLLIN, WaitService, type ServiceEvent } from 'epoll-pool';
     import type { Handler } from 'epoll-pool/worker';
     import { eventfd } from 'epoll-pool/sys';
     import { load, type LoadResult } from 'epoll-pool/load';
     export const tested: Promise<LoadResult> = load({ url: 'http://localhost/', rate: 10, signal: AbortSignal.timeout(5) });
     export const handler: Handler = ready => { ready.post(ready.data + 1n); };
     export async function main(): Promise<number> {
       await using service = await WaitService.start({ threads: 2 });
       using epoll = new Epoll();
       epoll.register(eventfd(1), { events: EPOLLIN, data: 5n });
       for await (const event of service) { const seen: ServiceEvent = event; console.log(seen.fd); }
       return epoll.waitAsync(new Events(4), 1.5, { signal: AbortSignal.timeout(10) });
     }`,
  );
  const types = join(ROOT, 'node_modules', '@types');
  const options = [
    '--strict',
    '--noEmit',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--lib',
    'es2023,esnext.disposable',
  ];
  const args = [...options, '--exactOptionalPropertyTypes', '--types', 'node', '--typeRoots', types, 'program.ts'];
  execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), args, { cwd: folder, stdio: 'pipe' });
});
