/**
 * The run queue under attack, for as many seconds as ATTACK_SECONDS says: services of random shapes under random traffic, requests from both
 * sides, wake() and again(), faults, and a main thread that computes; ledgers in shared memory prove by counts that nothing is
 * lost, doubled, or run beside itself (soak/queue.mjs).
 *
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const soak = fileURLToPath(new URL('soak/soak.mjs', import.meta.url));
const seconds = Number(process.env.ATTACK_SECONDS ?? 15);

test('nothing is lost, doubled, or run beside itself', { timeout: seconds * 1000 + 100_000 }, async () => {
  const options = ['--queue', '--minutes', String(seconds / 60)];
  const child = spawn(process.execPath, [soak, ...options], { timeout: seconds * 1000 + 90_000 });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect(output + errors).toContain('soak: clean');
  expect(code).toBe(0);
  // It did what it is for (throws and deaths are not in each shape).
  for (const what of ['wakes', 'agains', 'empty', 'reused', 'modified', 'messages', 'blocked']) {
    expect(output).toMatch(new RegExp(`"${what}":[1-9]`));
  }
});
