// A line server whose threads hash: `node examples/lines/server.mjs`, then `echo hello | nc -N localhost 7000`.
import { Server } from 'epoll-pool/server';

const server = await Server.listen({
  port: Number(process.env.PORT ?? 7000),
  handler: new URL('handler.mjs', import.meta.url),
});
server.on('error', error => console.error(error));
console.log(`lines are hashed at port ${server.address().port}`);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ timeout: 5000 }));
