// Broadcast by node:net: each byte that comes has 100 bytes sent to all sockets, in a loop.
import { BYTES } from './broadcast.js';
import { listen } from './serve.js';

const sockets = new Set();

const onConnection = socket => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => {});
  socket.on('data', data => {
    for (let i = 0; i < data.length; i++) for (const each of sockets) each.write(BYTES);
  });
};
listen(onConnection, {}, { connections: () => sockets.size });
