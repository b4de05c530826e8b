// HTTP by node:net alone: the main thread does everything.
import { answering, HEAD } from './answer.js';
import { listen, work } from './serve.js';

const { ofRequest } = answering(work);

listen(socket => {
  socket.on('data', request => socket.write(HEAD + ofRequest(request), 'latin1'));
  socket.on('error', () => {});
});
