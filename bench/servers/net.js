// HTTP by node:net alone: the main thread does everything.
import { digestOf, HEAD } from './answer.js';
import { hashes, listen } from './serve.js';

listen(socket => {
  socket.on('data', request => socket.write(HEAD + digestOf(request, hashes), 'latin1'));
  socket.on('error', () => {});
});
