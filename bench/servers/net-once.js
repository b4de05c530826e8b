// One answer for each connection, by node:net: the main thread accepts, answers, closes.
import { answering, CLOSING_HEAD } from './answer.js';
import { listen, work } from './serve.js';

const { ofRequest } = answering(work);

listen(socket => {
  socket.on('data', request => socket.end(CLOSING_HEAD + ofRequest(request), 'latin1'));
  socket.on('error', () => {});
});
