// Load generators, each as its user would run it: its command, until it is told to end, and what it then says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Skip } from './contestant.js';
import { CLIENT_CPU, pinned } from './cpus.js';
import { hasWrk, parseWrk } from './wrk.js';
import { p99AsWrk } from './wrk-latency.js';

/** Seconds, longer than any round: they are interrupted. */
const LONG = 60;
const COMMAND = fileURLToPath(new URL('../../dist/main/cli.js', import.meta.url));
const SCRIPT = fileURLToPath(new URL('../workers/load-script.js', import.meta.url));
const AUTOCANNON_SCRIPT = fileURLToPath(new URL('../workers/autocannon-script.js', import.meta.url));
const MILLISECONDS = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/**
 * command(options): its words. result(output): p99 in milliseconds, requests that were settled, and of these the good ones.
 */
export const generators = {
  wrk: {
    command({ url, connections, threads, close, seconds = LONG }) {
      if (!hasWrk) throw new Skip('wrk is not installed');
      return ['wrk', '--latency', `-t${threads}`, `-c${connections}`, `-d${seconds}s`, ...headers(close), url];
    },
    result(output) {
      const [, value, unit] = /99%\s+([\d.]+)(us|ms|s|m)/.exec(output) ?? [];
      return { ...parseWrk(output), p99: Number(value) * MILLISECONDS[unit] };
    },
  },
  autocannon: {
    command({ url, connections, threads, script, seconds = LONG }) {
      // Its command has no scripts: a program of its own has.
      if (script) return [process.execPath, AUTOCANNON_SCRIPT, autocannon(), url, connections].map(String);
      return [process.execPath, autocannon(), '--json', '-w', threads, '-c', connections, '-d', seconds, url].map(
        String,
      );
    },
    // Interrupted, it says nothing.
    result(output) {
      if (output === '') return {};
      const { latency, errors, non2xx, '2xx': good } = JSON.parse(output);
      return { p99: latency.p99, sent: good + errors + non2xx, received: good };
    },
    signal: 'SIGKILL',
  },
  'epoll-pool': {
    command({ url, connections, threads, warmup, close, script }) {
      const sizes = ['-t', threads, '-c', connections, '-d', `${LONG}s`, '--warmup', `${warmup}ms`].map(String);
      const trust = url.startsWith('https') ? ['--insecure'] : [];
      const how = [...trust, ...headers(close), ...(script ? ['--script', SCRIPT] : [])];
      return [process.execPath, COMMAND, 'load', '--json', ...sizes, ...how, url];
    },
    result(output) {
      const result = JSON.parse(output);
      const { errorCount, errors, responses } = result;
      return {
        p99: p99AsWrk(result),
        sent: responses + errorCount - errors.status,
        received: responses - errors.status,
      };
    },
  },
};

function headers(close) {
  return close ? ['-H', 'Connection: close'] : [];
}

function autocannon() {
  try {
    return createRequire(import.meta.url).resolve('autocannon');
  } catch {
    throw new Skip('autocannon is not installed');
  }
}

/** A generator that runs. @returns {{end: () => Promise<{p99?: number, sent?: number, received?: number}>}} */
export function startGenerator({ command, result, signal = 'SIGINT' }, options) {
  const [file, ...args] = pinned(CLIENT_CPU, command(options));
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const said = Promise.all([text(child.stdout), once(child, 'exit')]);
  return {
    end: async () => {
      if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended before its time`);
      child.kill(signal);
      const [output, [code, killedBy]] = await said;
      if (code !== 0 && killedBy !== signal)
        throw new Error(`${args.join(' ')} ended with ${killedBy ?? code}\n${output}`);
      return result(output);
    },
  };
}
