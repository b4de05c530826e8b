/** Runs the command `epoll-pool` in a process of its own, within a time limit. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ROOT } from './run.ts';

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const { bin, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const PATH = join(ROOT, bin['epoll-pool']);

export const VERSION: string = version;

/** util-linux's script(1) gives a command a terminal. */
export const hasTerminal = spawnSync('script', ['--version']).status === 0;

/** @param limit milliseconds after which the child is killed: `signal` is then SIGKILL */
export function cli(args: readonly string[], limit = 60_000, env: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  return follow(process.execPath, [PATH, ...args], env, limit).result;
}

/** The same, with the child in hand; it is killed when the test has finished. */
export function startCli(args: readonly string[], limit = 60_000): { child: ChildProcess; result: Promise<CliResult> } {
  return follow(process.execPath, [PATH, ...args], {}, limit);
}

/** The same, in a process that may have so many files open. */
export function cliWithFiles(files: number, args: readonly string[]): Promise<CliResult> {
  return cliInShell(`ulimit -n ${files}; exec "$@"`, args);
}

/** @param script in which "$@" is the command */
export function cliInShell(script: string, args: readonly string[]): Promise<CliResult> {
  return follow('sh', ['-c', script, 'sh', process.execPath, PATH, ...args], {}, 60_000).result;
}

/** The same on a terminal, of which `stdout` is all that came. */
export function cliOnTerminal(args: readonly string[], env: NodeJS.ProcessEnv, columns = 0): Promise<CliResult> {
  const line = [process.execPath, PATH, ...args].map(word => `'${word}'`).join(' ');
  return follow('script', ['-qec', `stty cols ${columns}; exec ${line}`, '/dev/null'], env, 60_000).result;
}

function follow(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  limit: number,
): { child: ChildProcess; result: Promise<CliResult> } {
  const child = spawn(command, args, {
    // Whatever the caller's terminal is like: nothing of it reaches the child.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, EPOLL_POOL_ASSERT: process.env.EPOLL_POOL_ASSERT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limit,
    killSignal: 'SIGKILL',
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', text => {
    out.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', text => {
    out.stderr += text;
  });
  const result = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...out }));
  });
  return { child, result };
}
