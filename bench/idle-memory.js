// Ten thousand connections that are idle: what each takes of the server's memory, plain and over TLS.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';

const CLIENT = fileURLToPath(new URL('workers/idle-client.js', import.meta.url));
const THREADS = 2;
/** So many come and go before: what is there only once has grown by then. */
const FIRST = 200;
const CONNECTIONS = 10_000;
/** Fds that a process needs besides. Where it may not open so many, fewer connections are held. */
const SPARE = 1000;
const SMOKE = 50;

const cases = [
  { name: 'plain', secure: false, fds: CONNECTIONS + SPARE },
  { name: 'TLS', secure: true, fds: CONNECTIONS + SPARE },
];

const by =
  server =>
  async ({ secure }, { smoke }) => {
    const served = await startServer(server, 'sha256 0', THREADS, { secure, nodeArgs: ['--expose-gc'] });
    const endFirst = await hold(served, smoke ? SMOKE : FIRST);
    await endFirst();
    const before = await served.memory();
    const count = smoke ? SMOKE : possible();
    const end = await hold(served, count);
    const memory = ((await served.memory()) - before) / count;
    // Each must still be there: all are asked once.
    const received = await end();
    await served.stop();
    return { values: { memory, count }, sent: count, received };
  };

/** Opens them in a process of its own. @returns what sends a request on each, ends them, and says how many were answered */
async function hold({ port, secure, answerBytes }, count) {
  const child = fork(CLIENT, { execArgv: [] });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${CLIENT} ended with ${code}`);
  });
  const said = async () => (await Promise.race([once(child, 'message'), failed]))[0];
  child.send({ port, secure, answerBytes, count });
  await said();
  return async () => {
    child.send('ask');
    const { answered } = await said();
    failed.catch(() => {});
    child.kill();
    await once(child, 'exit');
    return answered;
  };
}

/** As many as this process and its children may open, each for itself. */
function possible() {
  const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Math.min(CONNECTIONS, Number(limit ?? Number.POSITIVE_INFINITY) - SPARE);
}

const goal = { ours: 'epoll-pool', metric: 'memory' };

await question(import.meta.url, {
  name: 'idle-memory',
  title: 'Idle connections',
  text: `${CONNECTIONS.toLocaleString('en')} connections, which have sent nothing, to an HTTP server: the growth of what is resident of it; sockets in the kernel are not in it`,
  rounds: 3,
  metrics: {
    memory: { unit: 'B/connection', better: 'lower' },
    count: { title: 'connections', unit: '', better: 'higher' },
  },
  cases,
  contestants: [
    { name: 'node:net', run: by('net'), only: ['plain'] },
    { name: 'node:http, node:https', run: by('node-http') },
    { name: 'epoll-pool', ours: true, run: by('server-http') },
  ],
  goals: [
    { ...goal, case: 'plain', peer: 'node:net', atMost: 0.25 },
    { ...goal, case: 'plain', peer: 'node:http, node:https' },
    { ...goal, case: 'TLS', peer: 'node:http, node:https', atMost: 0.8 },
  ],
});
