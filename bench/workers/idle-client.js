// Holds idle connections for idle-memory.js; then has one request answered on each.
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect as connectSecure, createSecureContext } from 'node:tls';
import { REQUEST } from '../lib/load.js';

/** Connects under way at once: fewer than the server's backlog. */
const AT_ONCE = 64;

process.on('disconnect', () => process.exit());
const [{ port, secure, answerBytes, count }] = await once(process, 'message');
// One for all: each would have its own otherwise, and be most of what this process takes.
const secureContext = secure ? createSecureContext() : undefined;
const sockets = [];

await Promise.all(Array.from({ length: AT_ONCE }, open));
process.send('open');
await once(process, 'message');
let answered = 0;
for (let i = 0; i < sockets.length; i += AT_ONCE) {
  const answers = await Promise.all(sockets.slice(i, i + AT_ONCE).map(ask));
  answered += answers.filter(Boolean).length;
}
process.send({ answered });

/** One after the other, until there are enough. */
async function open() {
  const options = { port, host: '127.0.0.1' };
  while (sockets.length < count) {
    const socket = secure
      ? connectSecure({ ...options, secureContext, rejectUnauthorized: false })
      : connectPlain(options);
    sockets.push(socket);
    await once(socket, secure ? 'secureConnect' : 'connect');
    socket.on('error', () => {});
  }
}

/** @returns whether the answer came whole */
async function ask(socket) {
  let bytes = 0;
  socket.write(REQUEST);
  while (bytes < answerBytes && !socket.destroyed) {
    const [data] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [''])]);
    bytes += data.length;
  }
  return bytes === answerBytes;
}
