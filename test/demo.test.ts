/**
 * `epoll-pool demo`: what it measures, and how it shows it.
 *
 * @module-tag slow
 */
import { expect, test, vi } from 'vitest';
import { cli, cliOnTerminal, hasTerminal } from './support/cli.ts';

// A busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 });

const SMALL = ['demo', '--threads', '3', '--connections', '10', '--messages', '105'];
const ROWS = ['raw level', 'raw edge', 'raw oneshot', 'service'];
const ESCAPE = '\x1b';
const CLEAN = { lost: 0, doubled: 0, torn: 0, outOfOrder: 0, overlaps: 0 };

test('--json has every figure of every row, and they add up', async () => {
  const { code, stdout, stderr } = await cli([...SMALL, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { rows, ...rest } = JSON.parse(stdout);
  expect(rest).toEqual({ cores: expect.any(Number), threads: 3, connections: 10, messages: 105, clean: true });
  expect(rows.map(({ row }: { row: string }) => row)).toEqual(ROWS);
  for (const row of rows) {
    expect(row).toEqual({
      row: row.row,
      sent: 105,
      handled: expect.any(Number),
      lost: row.sent - row.handled,
      doubled: expect.any(Number),
      torn: expect.any(Number),
      outOfOrder: expect.any(Number),
      overlaps: expect.any(Number),
      idleWakeups: expect.any(Number),
      epollCtlCalls: expect.any(Number),
      seconds: expect.any(Number),
      messagesPerSecond: expect.any(Number),
      byThread: [expect.any(Number), expect.any(Number), expect.any(Number)],
      lesson: expect.any(String),
    });
    const byThread = row.byThread.reduce((a: number, b: number) => a + b, 0);
    expect(byThread).toBe(row.handled + row.doubled);
  }
  expect(rows[2]).toMatchObject({ handled: 105, ...CLEAN });
  expect(rows[2].epollCtlCalls).toBeGreaterThan(10);
  expect(rows[3]).toMatchObject({ handled: 105, ...CLEAN });
});

test('with threads and connections as by default, raw level and edge overlap; the service is clean', async () => {
  const { code, stdout } = await cli(['demo', '--messages', '12000', '--json'], 110_000);
  const { rows, threads, cores } = JSON.parse(stdout);
  expect(threads).toBeGreaterThan(cores);
  const [level, edge, oneshot, service] = rows;
  expect(level.overlaps).toBeGreaterThan(0);
  expect(level.doubled).toBeGreaterThan(0);
  expect(level.idleWakeups).toBeGreaterThan(0);
  expect(edge.overlaps).toBeGreaterThan(0);
  expect(oneshot).toMatchObject(CLEAN);
  expect(service).toMatchObject({ sent: level.sent, handled: level.sent, ...CLEAN });
  expect(code).toBe(0);
});

test('one thread does no harm, in any mode', async () => {
  const { code, stdout } = await cli(['demo', '--threads', '1', '--connections', '5', '--messages', '200', '--json']);
  expect(code).toBe(0);
  for (const row of JSON.parse(stdout).rows) expect(row).toMatchObject({ handled: 200, byThread: [200], ...CLEAN });
});

test('fewer messages than connections, and more connections than are begun at once', async () => {
  const { code, stdout, stderr } = await cli(['demo', '--connections', '1150', '--messages', '7', '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const row of JSON.parse(stdout).rows) expect(row).toMatchObject({ sent: 7, handled: 7 });
});

test('what a service loses is counted, does not hang the demo, and makes the exit code 1', async () => {
  const preload = new URL('fixtures/deaf-service.mjs', import.meta.url);
  const env = { NODE_OPTIONS: `--import=${preload.href}` };
  const [{ code, stdout }, table] = await Promise.all([
    cli([...SMALL, '--json'], 60_000, env),
    cli(SMALL, 60_000, env),
  ]);
  const { rows, clean } = JSON.parse(stdout);
  expect({ code, clean }).toEqual({ code: 1, clean: false });
  expect(rows[2]).toMatchObject({ handled: 105, ...CLEAN });
  // The first of ten connections has 11 of the 105 messages.
  expect(rows[3]).toMatchObject({ sent: 105, handled: 94, ...CLEAN, lost: 11 });
  expect(table.code).toBe(1);
  expect(table.stdout).toContain("The service's row is not clean.");
});

test('piped, there is nothing but the table, within 100 columns, a line for each row and its lesson', async () => {
  const { code, stdout, stderr } = await cli(SMALL);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).not.toContain(ESCAPE);
  expect(stdout).not.toContain('\r');
  const lines = stdout.trimEnd().split('\n');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
  expect(lines[0]).toMatch(/^3 threads on one epoll fd \(\d+ cores?\), 10 TCP connections, 105 messages a row$/);
  for (const row of ROWS) expect(lines.filter(line => line.startsWith(`${row} `))).toHaveLength(2);
  const table = lines.slice(2, 8);
  expect(new Set(table.slice(2).map(line => line.indexOf('105') > 0))).toEqual(new Set([true]));
  expect(lines.at(-1)).toBe('The service handled all 105 messages: each once, whole and in order.');
});

test.runIf(hasTerminal)(
  'on a terminal: one line of progress that is gone at the end, and colour unless NO_COLOR',
  async () => {
    const env = { TERM: 'xterm-256color' };
    const [coloured, plain] = await Promise.all([
      cliOnTerminal(SMALL, env),
      cliOnTerminal(SMALL, { ...env, NO_COLOR: '1' }),
    ]);
    expect(coloured.code).toBe(0);
    expect(coloured.stdout).toContain('\x1b[32m');
    const [progress, result] = splitAtLast(coloured.stdout, '\r\x1b[2K');
    expect(progress).toContain('1/4 raw level');
    expect(progress).not.toContain('\n');
    expect(result).toContain('3 threads');

    expect(plain.stdout).toContain('\r\x1b[2K');
    expect(plain.stdout.split(ESCAPE).filter(part => /^\[\d+m/.test(part))).toEqual([]);
  },
);

function splitAtLast(text: string, separator: string): [string, string] {
  const at = text.lastIndexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}
