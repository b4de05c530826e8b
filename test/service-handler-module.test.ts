/** A handler module is named by a path or a URL, and is ESM or CommonJS. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EPOLLIN } from 'epoll-pool';
import { afterAll, expect, test } from 'vitest';
import { eventfd } from './support/fds.ts';
import { module, start, until } from './support/service.ts';

const dir = mkdtempSync(join(tmpdir(), 'epoll pool #')); // characters that a URL must escape
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, source: string): string {
  const path = join(dir, name);
  writeFileSync(path, source);
  return path;
}

const BODY = "ready => { ready.read(new Uint8Array(8)); ready.post('seen'); }";
const esm = file('handler.mjs', `export default ${BODY};`);

async function expectToRun(handler: string | URL, message: unknown = 'seen'): Promise<void> {
  const { service, failures, messages } = await start({ handler });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => messages.length + failures.length > 0, 'a message');
  expect({ messages, failures }).toEqual({ messages: [message], failures: [] });
}

test('an absolute path', () => expectToRun(esm));
test('a path relative to the working directory', () => expectToRun(relative(process.cwd(), esm)));
test('a path that begins with a dot', () => expectToRun(`./${relative(process.cwd(), esm)}`));
test('a file URL', () => expectToRun(pathToFileURL(esm)));
test('a file URL as a string', () => expectToRun(pathToFileURL(esm).href));
test('a data: URL', () => expectToRun(new URL(module(`export default ${BODY};`))));
test('a data: URL as a string', () => expectToRun(module(`export default ${BODY};`)));
test('a URL with a query', () => expectToRun(new URL(`${pathToFileURL(esm).href}?fresh=1`)));

test('CommonJS: module.exports is the handler', () => expectToRun(file('plain.cjs', `module.exports = ${BODY};`)));

test('CommonJS: exports.default is the handler, as compilers of TypeScript write it', () => {
  const source = `Object.defineProperty(exports, '__esModule', { value: true });\nexports.default = ${BODY};`;
  return expectToRun(file('compiled.cjs', source));
});

test('CommonJS: setup beside either', async () => {
  const body = '{ ready.read(new Uint8Array(8)); ready.post(word); }';
  const source = (named: string) =>
    `let word; ${named} = ready => ${body};\nmodule.exports.setup = () => { word = 'set up'; };`;
  await expectToRun(file('setup-plain.cjs', source('module.exports')), 'set up');
  await expectToRun(file('setup-compiled.cjs', source('exports.default')), 'set up');
});

test("a function of the name that the package's own modules use is nobody's business", () => {
  const source = `export const setupThread = () => { throw new Error('called'); };\nexport default ${BODY};`;
  return expectToRun(file('own-name.mjs', source));
});
