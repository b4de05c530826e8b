/**
 * The benchmarks themselves: each question runs on its own, answers in the same shape, and loses nothing.
 *
 * @module-tag slow
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ROOT, startFile } from './support/run.js';

const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-'));
afterAll(() => rmSync(folder, { recursive: true }));

const questions = readdirSync(join(ROOT, 'bench'))
  .filter(name => name.endsWith('.js') && name !== 'run.js')
  .map(name => name.slice(0, -3));

test('there is a file for each question', () => {
  expect(questions.length).toBe(26);
});

test.concurrent.each(questions)('%s', { timeout: 60_000 }, async name => {
  const json = join(folder, `${name}.json`);
  const { result } = startFile([join('bench', `${name}.js`), '--smoke', '--json', json], 50_000);
  const { code, stderr, stdout } = await result;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('median');

  const question: unknown = JSON.parse(readFileSync(json, 'utf8'));
  expect(question).toMatchObject({
    name,
    title: expect.any(String),
    text: expect.any(String),
    metrics: expect.any(Object),
    rounds: 1,
    smoke: true,
    results: expect.any(Array),
    goals: expect.any(Array),
  });
  const results = arrayOf(question, 'results');
  // A peer may be missing; ours never is, and each round has checked that as much was received as sent.
  const ours = results.filter(row => Reflect.get(row, 'ours') === true);
  expect(ours.length).toBeGreaterThan(0);
  for (const row of ours)
    expect(row).toMatchObject({
      case: expect.any(String),
      contestant: expect.any(String),
      counted: expect.any(Number),
    });
  for (const row of results) {
    if (Reflect.has(row, 'skipped')) expect(row).toMatchObject({ skipped: expect.any(String) });
    else expect(Reflect.get(row, 'counted')).toBeGreaterThan(0);
  }
  for (const goal of arrayOf(question, 'goals')) {
    expect(goal).toMatchObject({ metric: expect.any(String), ours: expect.any(String), case: expect.any(String) });
  }
});

test('the command says what it can be asked', { timeout: 60_000 }, async () => {
  const run = join('bench', 'run.js');
  const help = await startFile([run, '--help'], 20_000).result;
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const name of questions) expect(help.stdout).toContain(name);
  for (const [bad, message] of [
    [['raw'], "There is no question 'raw'"],
    [['--rounds', '0'], '--rounds takes a number from 1 on'],
    [['--fast'], "Unknown option '--fast'"],
  ] as const) {
    const { code, stderr, stdout } = await startFile([run, ...bad], 20_000).result;
    expect({ bad, code, stdout }).toEqual({ bad, code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: npm run bench');
  }
});

function arrayOf(value: unknown, key: string): object[] {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  if (!Array.isArray(found)) throw new Error(`no ${key}`);
  return found.filter((row): row is object => typeof row === 'object' && row !== null);
}
