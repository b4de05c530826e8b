/**
 * Twenty seconds of the soak: random traffic, faults, churn and control requests, with all invariants checked.
 *
 * @module-tag slow
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const soak = fileURLToPath(new URL('soak/soak.mjs', import.meta.url));

test('the soak is clean', { timeout: 120_000 }, async () => {
  const child = spawn(process.execPath, [soak, '--minutes', String(20 / 60)], { timeout: 100_000 });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect(output + errors).toContain('soak: clean');
  expect(code).toBe(0);
  // It did what it is for: faults of each kind, and threads that died.
  expect(output).toMatch(/"deaths":[1-9]/);
  expect(output).toMatch(/"reused":[1-9]/);
});

test('the soak of servers is clean', { timeout: 120_000 }, async () => {
  const child = spawn(process.execPath, [soak, '--server', '--minutes', String(10 / 60)], { timeout: 100_000 });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  expect(output + errors).toContain('soak: clean');
  expect(code).toBe(0);
  expect(output).toMatch(/"waves":[1-9]/);
});
