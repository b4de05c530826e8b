/**
 * What the README and docs/ show runs, prints what stands below it, and leads where it says.
 *
 * A block of JavaScript that begins with a comment naming a file is a file. A block of text right after it is what it prints, with `…`
 * for anything: such a file is a program, and runs here with the other files of its page beside it. Every other file is one that a
 * program of the page uses, or is run by another test.
 *
 * @module-tag slow
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT, startFile } from './support/run.ts';

/** Files, or all those of a page, that are run by other tests, which are named. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'README.md ticks.mjs': 'package.test.ts',
  'README.md server.mjs': 'package.test.ts',
  'README.md handler.mjs': 'package.test.ts',
  'docs/load.md lines.mjs': 'package.test.ts',
  'docs/load.md latency.test.mjs': 'package.test.ts',
  'docs/load.md script.mjs': 'package.test.ts',
  'docs/guides/bundlers.md': 'platforms/bundlers.js',
  'docs/guides/server-by-hand.md': 'server-example.test.ts',
};

interface Block {
  readonly name: string;
  readonly source: string;
  /** What it prints; undefined: it is no program. */
  readonly output: string | undefined;
}

interface Page {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

const pages: Page[] = [
  ...readdirSync(ROOT).filter(name => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map(name => join('docs', name)),
]
  .filter(path => path.endsWith('.md'))
  .map(path => {
    const content = readFileSync(join(ROOT, path), 'utf8');
    return { path, text: content, blocks: blocksOf(content) };
  });

function blocksOf(page: string): Block[] {
  const found = page.matchAll(/^```js\n(\/\/ ([\w/.-]+\.mjs)\b[\s\S]*?)^```$(?:\n\n```text\n([\s\S]*?)^```$)?/gm);
  return [...found].map(([, source = '', name = '', output]) => ({ name, source, output }));
}

const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const modules = join(folder, 'node_modules');
mkdirSync(modules);
symlinkSync(ROOT, join(modules, 'epoll-pool'));
for (const name of ['koffi', 'piscina', 'hono', 'vitest'])
  symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));

/** A folder with all the files of a page. */
function unpack({ path, blocks }: Page): string {
  const place = join(folder, path.replaceAll('/', '-'));
  for (const { name, source } of blocks) {
    mkdirSync(dirname(join(place, name)), { recursive: true });
    writeFileSync(join(place, name), source);
  }
  return place;
}

function pattern(output: string): RegExp {
  const literal = output.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('…', '[^\\n]*')}$`);
}

describe.concurrent('programs', () => {
  for (const page of pages) {
    const programs = page.blocks.filter(({ output }) => output !== undefined);
    if (programs.length === 0) continue;
    const place = unpack(page);
    for (const { name, output = '' } of programs) {
      test(`${page.path}: ${name}`, async context => {
        const child = spawn(process.execPath, [name], { cwd: place, timeout: 25_000, killSignal: 'SIGKILL' });
        const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
        context.expect({ err, code }).toEqual({ err: '', code: 0 });
        context.expect(out).toMatch(pattern(output));
      });
    }
  }
});

test('every file that a page shows runs, here or elsewhere', () => {
  const isIdle = ({ path, blocks }: Page, { name, output }: Block): boolean =>
    !(path in ELSEWHERE || `${path} ${name}` in ELSEWHERE) &&
    output === undefined &&
    !blocks.some(other => other.name !== name && other.source.includes(name));
  const idle = pages.flatMap(page =>
    page.blocks.filter(block => isIdle(page, block)).map(({ name }) => `${page.path} ${name}`),
  );
  expect(idle).toEqual([]);
  for (const [key, file] of Object.entries(ELSEWHERE)) {
    const [path = '', name] = key.split(' ');
    const blocks = pages.find(page => page.path === path)?.blocks ?? [];
    expect(
      blocks.some(block => name === undefined || block.name === name),
      `${key} is there`,
    ).toBe(true);
    const source = readFileSync(join(ROOT, 'test', file), 'utf8');
    expect(source, `${file} runs ${key}`).toContain(name ?? path.split('/').at(-1));
  }
});

test('docs/api/ has a place for every export, with the declaration that is built', async () => {
  const { code, stdout, stderr } = await startFile(['scripts/api-docs.js', '--check']).result;
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('every page of docs/api/ is in its table', () => {
  const table = pages.find(({ path }) => path === 'docs/api/README.md')?.text ?? '';
  const names = pages.map(({ path }) => path.split('docs/api/')[1] ?? '').filter(name => /^[a-z]/.test(name));
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter(name => !table.includes(`](${name})`))).toEqual([]);
});

test('the README is a page that is read in two minutes', () => {
  const lines = pages.find(({ path }) => path === 'README.md')?.text.split('\n') ?? [];
  expect(lines.length).toBeGreaterThan(50);
  expect(lines.length).toBeLessThanOrEqual(151); // the last one is empty
});

test('the server by hand is the one in examples/', () => {
  const page = pages.find(({ path }) => path === 'docs/guides/server-by-hand.md');
  for (const { name, source } of page?.blocks ?? []) {
    const rest = (text: string): string => text.slice(text.indexOf('\n'));
    expect(rest(source)).toBe(rest(readFileSync(join(ROOT, 'examples', name), 'utf8')));
  }
  expect(page?.blocks.length).toBe(2);
});

test("the guide's TypeScript compiles", { timeout: 60_000 }, () => {
  const page = pages.find(({ path }) => path === 'docs/guides/typescript.md')?.text ?? '';
  const place = join(folder, 'typescript');
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{ "type": "module" }');
  const names = [...page.matchAll(/^```ts\n(\/\/ (\w+\.ts)\n[\s\S]*?)^```$/gm)].map(([, source = '', name = '']) => {
    writeFileSync(join(place, name), source);
    return name;
  });
  expect(names.length).toBe(3);
  const options = '--noEmit --strict --exactOptionalPropertyTypes --target es2022 --module nodenext --types node';
  const args = [...options.split(' '), '--typeRoots', join(ROOT, 'node_modules', '@types'), ...names];
  const { stdout } = spawnSync(join(ROOT, 'node_modules', '.bin', 'tsc'), args, { cwd: place, encoding: 'utf8' });
  expect(stdout).toBe('');
});

test('pictures are drawn from their texts', async () => {
  const { code, stdout, stderr } = await startFile(['scripts/pictures.js', '--check']).result;
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('a page shows a file once', () => {
  const twice = pages.flatMap(({ path, blocks }) => {
    const names = blocks.map(({ name }) => name);
    return names.filter((name, i) => names.indexOf(name) !== i).map(name => `${path} ${name}`);
  });
  expect(twice).toEqual([]);
});

/** As GitHub makes anchors of headings. */
function anchorsOf(page: string): Set<string> {
  const headings = page.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('links lead to files, and to headings of theirs', () => {
  const broken = pages.flatMap(({ path, text: page }) => {
    const links = page.replaceAll(/^```[\s\S]*?^```$|`[^`\n]*`/gm, '').matchAll(/\]\(([^)\s]+)\)/g);
    return [...links]
      .map(([, link = '']) => link)
      .filter(link => !/^https?:/.test(link) && !isThere(path, link))
      .map(link => `${path}: ${link}`);
  });
  expect(pages.length).toBeGreaterThan(20);
  expect(broken).toEqual([]);
});

function isThere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? from : relative(ROOT, join(ROOT, dirname(from), file));
  try {
    if (target.endsWith('.md')) {
      const page = readFileSync(join(ROOT, target), 'utf8');
      return anchor === undefined || anchorsOf(page).has(anchor);
    }
    return readdirSync(join(ROOT, dirname(target))).includes(target.split('/').at(-1) ?? '');
  } catch {
    return false;
  }
}
