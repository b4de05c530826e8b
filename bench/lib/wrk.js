// wrk, where it is on PATH; the client of load.js otherwise.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { drive } from './load.js';

export const hasWrk = spawnSync('wrk', ['-v']).error === undefined;

/**
 * Requests to a server of startServer().
 * @returns {Promise<{rate: number, sent: number, received: number, all: number}>} all: answers, with those while it warmed up
 */
export async function load(server, connections, { warmup, ms, smoke }, onStart) {
  if (smoke || !hasWrk) {
    const result = await drive({ server, connections, warmup, ms, onStart });
    return { ...result, all: result.received };
  }
  const url = `${server.secure ? 'https' : 'http'}://127.0.0.1:${server.port}/`;
  const before = await wrk(url, connections, warmup);
  onStart();
  const result = await wrk(url, connections, ms);
  return { ...result, all: before.received + result.received };
}

/** By one thread, for whole seconds. */
export async function wrk(url, connections, ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, url];
  const child = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return parseWrk(output);
}

/** @param {string} output of wrk's */
export function parseWrk(output) {
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
  const received = Number(/(\d+) requests in/.exec(output)?.[1]);
  // Neither line is there unless something went wrong. What was on its way when wrk ended is in neither count.
  const failures = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0);
  const lost = failures.reduce((sum, count) => sum + Number(count), refused);
  if (!(rate > 0)) throw new Error(output);
  return { rate, sent: received + lost, received };
}
