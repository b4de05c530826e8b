// One of bench/servers/ in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { digestOf, HEAD } from '../servers/answer.js';
import { REQUEST, requestOnce } from './load.js';

/** @param {string} name @param {number} hashes SHA-256 for each request @param {string} [node] the Node that runs it */
export async function startServer(name, hashes, threads, node = process.execPath) {
  const file = fileURLToPath(new URL(`../servers/${name}.js`, import.meta.url));
  const child = fork(file, [String(hashes), String(threads)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
    execPath: node,
  });
  child.once('exit', code => {
    if (!child.killed) throw new Error(`the server ended with ${code}`);
  });
  const [{ port }] = await once(child, 'message');
  const answer = await requestOnce(port);
  if (answer !== HEAD + digestOf(REQUEST, hashes)) throw new Error(`wrong answer: ${answer}`);
  return {
    port,
    reset: () => child.send('reset'),
    /** The main thread's loop delay since reset(), p99 in milliseconds. */
    delay: async () => {
      child.send('delay');
      return (await once(child, 'message'))[0].delay;
    },
    stop: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}
