/** What npm packs is what a user installs: its files, its imports, and the README's examples, run from a folder of theirs. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

/** The README's block of code that begins with a comment naming the file. */
function example(name: string): string {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const block = readme.split('```').find(part => part.startsWith(`js\n// ${name}`));
  expect(block).toBeDefined();
  return (block ?? '').slice('js\n'.length);
}

function start(name: string, env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [name], { cwd: folder, env: { ...process.env, ...env }, timeout: 20_000 });
}

test('holds built JavaScript, types and maps, and what a user should read; no tests, no sources', () => {
  const other = files.filter(file => !/^\.\/dist\/.*\.(js|d\.ts|js\.map)$/.test(file)).sort();
  expect(other).toEqual(['./CHANGELOG.md', './LICENSE', './README.md', './package.json']);
  for (const entry of ['main/index', 'main/load/index', 'worker/index', 'shared/sys', 'main/cli']) {
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

test("the README's server hashes what it is sent", async () => {
  writeFileSync(join(folder, 'server.mjs'), example('server.mjs').replace('7000,', 'process.env.SOCKET,'));
  writeFileSync(join(folder, 'handler.mjs'), example('handler.mjs'));
  const path = join(folder, 'socket');
  const child = start('server.mjs', { SOCKET: path });
  try {
    await once(child.stdout, 'data');
    const answers = [1, 2, 3].map(async () => {
      const socket = connect(path);
      socket.write('hello\n');
      const [answer] = await once(socket, 'data');
      socket.end();
      await once(socket, 'close');
      return String(answer);
    });
    const digest = '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\n';
    expect(await Promise.all(answers)).toEqual([digest, digest, digest]);
  } finally {
    child.kill();
  }
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
