// One of bench/servers/ in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { answering } from '../servers/answer.js';
import { cpuTime } from './cpu-time.js';
import { REQUEST, requestOnce } from './load.js';

const STATUS = 'HTTP/1.1 200 OK\r\n';

/**
 * A server that speaks HTTP, and has given one right answer.
 *
 * @param {string} name @param {string} work see servers/answer.js
 * @param {{node?: string, nodeArgs?: string[], secure?: boolean}} [how] the Node that runs it, and its options; whether
 *   it speaks TLS, for those that can
 */
export async function startServer(name, work, threads, how) {
  const server = await startProcess(name, work, threads, how);
  const answer = await requestOnce(server);
  const { ofRequest, ofTarget } = answering(work);
  const body = server.parsed ? ofTarget('/') : ofRequest(REQUEST);
  if (!answer.startsWith(STATUS) || !answer.endsWith(`\r\n\r\n${body}`)) throw new Error(`wrong answer: ${answer}`);
  return { ...server, answerBytes: answer.length };
}

/** A server that speaks what it likes. */
export async function startProcess(name, work, threads, how = {}) {
  const file = fileURLToPath(new URL(`../servers/${name}.js`, import.meta.url));
  const { node = process.execPath, nodeArgs = [], secure = false } = how;
  const child = fork(file, [work, String(threads), secure ? 'secure' : 'plain'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: nodeArgs,
    execPath: node,
  });
  child.once('exit', code => {
    if (!child.killed) throw new Error(`the server ended with ${code}`);
  });
  const ask = async question => {
    child.send(question);
    return (await once(child, 'message'))[0][question];
  };
  const [about] = await once(child, 'message');
  return {
    ...about,
    reset: () => child.send('reset'),
    /** The main thread's loop delay since reset(), p99 in milliseconds. */
    delay: () => ask('delay'),
    /** What is resident of it, in bytes. */
    memory: () => ask('memory'),
    /** How many are open, of those that tell. */
    connections: () => ask('connections'),
    /** The latency by its own record, in milliseconds, of those that keep one. */
    p99: () => ask('p99'),
    /** CPU time of all its processes so far, in milliseconds. */
    cpu: () => cpuTime(child.pid),
    stop: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}
