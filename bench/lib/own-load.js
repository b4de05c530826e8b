// The load tester of this clone as a client: for what wrk cannot ask. It keeps count of everything, exactly.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../dist/main/cli.js', import.meta.url));

/**
 * @param {string} url
 * @param {{connections: number, threads?: number, ms: number, more?: string[]}} options
 * @returns {Promise<{rate: number, sent: number, received: number, result: object}>} sent: what was answered or failed; result:
 *   as docs/load.md has it
 */
export async function ownLoad(url, { connections, threads = 1, ms, more = [] }) {
  const sizes = ['-c', connections, '-t', threads, '-d', `${ms}ms`].map(String);
  const child = spawn(process.execPath, [COMMAND, 'load', '--json', ...sizes, ...more, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const result = JSON.parse(output);
  const { requestsPerSecond: rate, responses, errorCount, errors } = result;
  const received = responses - errors.status - errors.check;
  return { rate, sent: received + errorCount, received, result };
}

/** The same once its server is warm; between the two, `onStart`. */
export async function ownLoadWarm(url, { warmup, ms, smoke, ...options }, onStart) {
  if (!smoke) await ownLoad(url, { ...options, ms: warmup });
  await onStart();
  return ownLoad(url, { ...options, ms });
}
