// One contestant, one round: in a process of its own, so that no contestant inherits another's heap, handles or threads.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { program } from './c.js';

const MARK = 'RESULT ';
/** No round takes nearly this long. */
const LIMIT_MS = 60_000;

/** Why a contestant cannot take part here. */
export class Skip extends Error {}

/** For the child: runs the contestant and tells the parent. */
export async function report(run, kase, time) {
  let result;
  try {
    result = await run(kase, time);
  } catch (error) {
    if (!(error instanceof Skip)) throw error;
    result = { skipped: error.message };
  }
  process.stdout.write(`${MARK}${JSON.stringify(result)}\n`, () => process.exit(0));
}

/** A contestant that is bench/c/`name`.c, given these arguments. */
export function inC(name, args) {
  return { c: name, args };
}

/** One round of a contestant. @returns {Promise<{values: object, sent: number, received: number} | {skipped: string}>} */
export async function round(file, contestant, kase, time) {
  const command = commandOf(file, contestant, kase, time);
  if ('skipped' in command) return command;
  const { path, args } = command;
  // A shell, to ask for room for the case's fds; where it is refused, the contestant says so.
  const shell = [
    '-c',
    '[ "$(ulimit -n)" -ge "$0" ] || ulimit -n "$0" 2>/dev/null; exec "$@"',
    String(kase.fds),
    path,
    ...args,
  ];
  const [run, runArgs] = kase.fds ? ['sh', shell] : [path, args];
  const child = spawn(run, runArgs, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS, killSignal: 'SIGKILL' });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  const [output, errors, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const line = output.split('\n').findLast(one => one.startsWith(MARK));
  if (end !== 0 || line === undefined) {
    throw new Error(`${contestant.name} (${kase.name}) ended with ${end}\n${errors}${output}`);
  }
  const result = JSON.parse(line.slice(MARK.length));
  if (result.sent !== result.received) {
    throw new Error(`${contestant.name} (${kase.name}): ${result.sent} sent, ${result.received} received`);
  }
  return result;
}

function commandOf(file, contestant, kase, time) {
  if (typeof contestant.run === 'function') {
    const args = ['--contestant', contestant.name, '--case', kase.name, '--ms', time.ms, '--warmup', time.warmup];
    if (time.smoke) args.push('--smoke');
    return { path: process.execPath, args: ['--expose-gc', ...(contestant.nodeArgs ?? []), file, ...args.map(String)] };
  }
  const { path, skipped } = program(contestant.run.c);
  if (path === undefined) return { skipped };
  return { path, args: contestant.run.args(kase, time).map(String) };
}
