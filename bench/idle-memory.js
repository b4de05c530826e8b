// Ten thousand connections that are idle: what each takes of the server's memory, plain and over TLS.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Skip } from './lib/contestant.js';
import { question } from './lib/question.js';
import { startServer } from './lib/server.js';

const CLIENT = fileURLToPath(new URL('workers/idle-client.js', import.meta.url));
const THREADS = 2;
/** So many come and go before: what is there only once has grown by then. */
const FIRST = 500;
const SMOKE = 50;

const connections = 10_000;
// The server's and the client's each; where that is refused, fewer connections are held.
const cases = [
  { name: 'plain', secure: false, fds: connections + 2000 },
  { name: 'TLS', secure: true, fds: connections + 2000 },
];

const by =
  server =>
  async ({ secure }, { smoke }) => {
    const served = await startServer(server(secure), 'sha256 0', THREADS, { secure, nodeArgs: ['--expose-gc'] });
    const first = await hold(served, smoke ? SMOKE : FIRST);
    await first.end();
    const before = await served.memory();
    const held = await hold(served, smoke ? SMOKE : connections);
    const memory = ((await served.memory()) - before) / held.count;
    // Each must still be there: all are asked once.
    const received = await held.end();
    await served.stop();
    return { values: { memory, count: held.count }, sent: held.count, received };
  };

/** Opens them in a process of its own. end(): sends a request on each. @returns how many were answered */
async function hold({ port, secure, answerBytes }, count) {
  const child = fork(CLIENT, { execArgv: [] });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${CLIENT} ended with ${code}`);
  });
  const said = async () => (await Promise.race([once(child, 'message'), failed]))[0];
  child.send({ port, secure, answerBytes, count });
  const { open, reason } = await said();
  if (open === 0) throw new Skip(reason);
  return {
    count: open,
    end: async () => {
      child.send('ask');
      const { answered } = await said();
      failed.catch(() => {});
      child.kill();
      await once(child, 'exit');
      return answered;
    },
  };
}

const goal = { ours: 'epoll-pool', metric: 'memory' };

await question(import.meta.url, {
  name: 'idle-memory',
  title: 'Idle connections',
  text: `${connections.toLocaleString('en')} connections, which have sent nothing, to an HTTP server: the growth of what is resident of it; sockets in the kernel are not in it`,
  rounds: 3,
  metrics: {
    memory: { unit: 'B/connection', better: 'lower' },
    count: { title: 'connections', unit: '', better: 'higher' },
  },
  cases,
  contestants: [
    { name: 'node:net', run: by(secure => (secure ? skip('no TLS') : 'net')) },
    { name: 'node:http, node:https', run: by(() => 'node-http') },
    { name: 'epoll-pool', ours: true, run: by(() => 'server-http') },
  ],
  goals: [
    { ...goal, case: 'plain', peer: 'node:net', atMost: 0.25 },
    { ...goal, case: 'plain', peer: 'node:http, node:https' },
    { ...goal, case: 'TLS', peer: 'node:http, node:https', atMost: 0.8 },
  ],
});

function skip(reason) {
  throw new Skip(reason);
}
