// Bun and Deno, both from npm: what works there works, and what does not is refused, with the runtime's name and a way out.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall, run, smoke, userFolder } from './lib.js';

/** How each call is answered: its code and its message. */
const REFUSED = `
  import { createServer } from 'node:net';
  import { detach, Epoll, EPOLLIN, Events, WaitService } from 'epoll-pool';
  import { load } from 'epoll-pool/load';
  import { eventfd } from 'epoll-pool/sys';
  const epoll = new Epoll();
  epoll.register(eventfd(1), { events: EPOLLIN });
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const url = 'http://127.0.0.1:' + server.address().port + '/';
  const calls = {
    waitAsync: () => epoll.waitAsync(new Events(1), 100),
    iteration: async () => { for await (const event of epoll) return; },
    start: () => WaitService.start({ threads: 1 }),
    load: () => load({ url, requests: 1, timeout: 500 }),
    detach: () => new Promise((resolve, reject) => {
      server.once('connection', socket => { try { resolve(detach(socket)); } catch (error) { reject(error); } });
      import('node:net').then(({ connect }) => connect(server.address().port, '127.0.0.1').on('error', () => {}));
    }),
  };
  const answers = {};
  for (const name of process.argv.slice(2)) {
    answers[name] = await calls[name]().then(() => ['none'], ({ code, message }) => [code, message]);
  }
  console.log(JSON.stringify(answers));
  process.exit();
`;

async function expectRefused(words, folder, name, ways) {
  writeFileSync(join(folder, 'refused.mjs'), REFUSED);
  const output = await run([...words, 'refused.mjs', ...Object.keys(ways)], { cwd: folder, ms: 30_000 });
  const answers = JSON.parse(output);
  for (const [call, way] of Object.entries(ways)) {
    const [code, message] = answers[call];
    assert.equal(code, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', `${call}: ${message}`);
    assert.ok(message.includes(name) && message.includes(way), `${call}: ${message}`);
  }
}

export async function bun() {
  const folder = await userFolder('bun', 'bun');
  const words = [join(folder, 'node_modules', '.bin', 'bun')];
  await expectRefused(words, folder, 'Bun', { waitAsync: 'wait()', iteration: 'wait()', start: 'Epoll', load: 'Node' });
  return smoke(words, folder, { parts: ['primitive', 'sys', 'detach'] });
}

export async function deno() {
  const folder = await userFolder('deno');
  await npmInstall(folder, 'deno');
  const words = [join(folder, 'node_modules', '.bin', 'deno'), 'run', '--quiet', '-A'];
  await expectRefused(words, folder, 'Deno', { load: 'Node', detach: 'accept()' });
  return smoke(words, folder, { parts: ['primitive', 'sys', 'loop', 'worker', 'service'] });
}
