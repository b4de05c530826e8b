/** Runs a module's source in a process of its own, within a time limit, so that a crash or a hang is seen as what it is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The package's root, from which a child process can import it by its name. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the start to the end of the process, in milliseconds. */
  readonly ms: number;
}

/** What every source begins with. */
const PRELUDE = `
import { Worker } from 'node:worker_threads';
import * as lib from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
const { Epoll, Events, Waker, EPOLLIN, EPOLLOUT, EPOLLET, EPOLLONESHOT } = lib;
`;

/** @param limit milliseconds after which the child is killed: `signal` is then SIGKILL */
export function run(source: string, limit = 20_000): Promise<Result> {
  return start(source, limit).result;
}

/** The same, with the child in hand. */
export function start(source: string, limit = 20_000): { child: ChildProcess; result: Promise<Result> } {
  return startPlain(PRELUDE + source, limit);
}

/** Without the prelude. */
export function startPlain(source: string, limit = 20_000): { child: ChildProcess; result: Promise<Result> } {
  return startFile(['--input-type=module', '-e', source], limit);
}

/** Node with these arguments: a file of the package, and what it is given. */
export function startFile(args: readonly string[], limit = 20_000): { child: ChildProcess; result: Promise<Result> } {
  const from = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: limit,
    killSignal: 'SIGKILL',
  });
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', text => {
    out.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', text => {
    out.stderr += text;
  });
  const result = new Promise<Result>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...out, ms: performance.now() - from }));
  });
  return { child, result };
}

/** Ended by itself, with code 0: `expect(await run(…)).toEqual(ended(output))`. */
export function ended(stdout: string): unknown {
  return { code: 0, signal: null, stdout, stderr: '', ms: expectNumber() };
}

function expectNumber(): unknown {
  return { asymmetricMatch: (value: unknown) => typeof value === 'number', toString: () => 'a number' };
}
