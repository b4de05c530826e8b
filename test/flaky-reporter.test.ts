/** A test that fails and passes when tried again is no silent success: the run says so at its end. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { type Result, ROOT, startFile } from './support/run.ts';

const REPORTER = join(ROOT, 'test', 'support', 'flaky-reporter.ts');

async function runTests(source: string): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-flaky-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'a.test.mjs'), `import { expect, test } from 'vitest'; let tries = 0; ${source}`);
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const args = ['run', '--root', folder, '--retry', '2', '--reporter', 'default', '--reporter', REPORTER];
  return startFile([vitest, ...args]).result;
}

test('what failed before it passed is listed, with what it said', { tags: ['slow'] }, async () => {
  const { code, stderr } = await runTests(`
    test('steady', () => {});
    test('at the third time', () => expect(++tries).toBe(3));
  `);
  expect(code).toBe(0);
  expect(stderr).toContain('FLAKY: 1 test failed, and passed when tried again.');
  expect(stderr).toContain('a.test.mjs > at the third time');
  expect(stderr).toContain('expected 1 to be 3');
  expect(stderr).toContain('expected 2 to be 3');
  expect(stderr).not.toContain('steady');
});

test('what passes at once, or never, is not', { tags: ['slow'] }, async () => {
  const { code, stdout, stderr } = await runTests(`
    test('steady', () => {});
    test('broken', () => expect(++tries).toBe(0));
  `);
  expect(code).toBe(1);
  expect(stripVTControlCharacters(stdout)).toContain('1 failed | 1 passed');
  expect(stderr).not.toContain('FLAKY');
});
