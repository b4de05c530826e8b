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
let reason = '';

await Promise.all(Array.from({ length: AT_ONCE }, open));
process.send({ open: sockets.length, reason });
await once(process, 'message');
let answered = 0;
for (let i = 0; i < sockets.length; i += AT_ONCE) {
  const answers = await Promise.all(sockets.slice(i, i + AT_ONCE).map(ask));
  answered += answers.filter(Boolean).length;
}
process.send({ answered });

/** One after the other, until there are enough, or the machine allows no more. */
async function open() {
  const options = { port, host: '127.0.0.1' };
  while (reason === '' && sockets.length < count) {
    const socket = secure
      ? connectSecure({ ...options, secureContext, rejectUnauthorized: false })
      : connectPlain(options);
    sockets.push(socket);
    try {
      await once(socket, secure ? 'secureConnect' : 'connect');
      socket.on('error', () => {});
    } catch (error) {
      sockets.splice(sockets.indexOf(socket), 1);
      if (error.code !== 'EMFILE') throw error;
      reason = error.code;
    }
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
