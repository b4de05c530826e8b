// The server of node:http or node:https, as its users write it.
import { createServer } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { certificate } from '../lib/certificate.js';
import { answering, HEADERS } from './answer.js';

/** Longer than any round: connections of these benchmarks are ended by their clients. */
const KEEP_ALIVE_MS = 60_000;

export function nodeHttpServer(work, secure) {
  const { ofTarget } = answering(work);
  const listener = (request, response) => {
    response.writeHead(200, HEADERS);
    response.end(ofTarget(request.url));
  };
  const options = { keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true };
  return secure ? createSecure({ ...options, ...certificate() }, listener) : createServer(options, listener);
}
