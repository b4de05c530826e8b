// HTTP by node:http, HTTPS by node:https: one process, whose main thread does everything.
import { nodeHttpServer } from './node-http-server.js';
import { announce, LISTEN, secure, work } from './serve.js';

const server = nodeHttpServer(work, secure);
server.listen(LISTEN, () => announce(server.address().port, { parsed: true, secure }));
