// A chat: `node examples/chat/server.mjs`, then `nc localhost 7001` in two or more terminals.
import { Server } from 'epoll-pool/server';

const server = await Server.listen({
  port: Number(process.env.PORT ?? 7001),
  handler: new URL('handler.mjs', import.meta.url),
  idleTimeout: 600_000,
  maxMessage: 2000,
});
server.on('error', error => console.error(error));
server.on('close', ({ id }, reason) => server.broadcast(`* ${id} has left (${reason})\n`));
console.log(`chat at port ${server.address().port}`);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ timeout: 5000 }));
