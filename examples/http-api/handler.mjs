// Runs in the server's threads: while one hashes a password, the others answer.
import { randomBytes, scryptSync } from 'node:crypto';
import { http } from 'epoll-pool/worker';

export const protocol = http();

const routes = {
  'GET /time': () => ({ time: new Date().toISOString() }),
  'POST /hash': ({ password }) => {
    if (typeof password !== 'string') throw new RangeError('a password is wanted');
    const salt = randomBytes(16);
    return { salt: salt.toString('hex'), hash: scryptSync(password, salt, 32).toString('hex') };
  },
};

/** @type {import('epoll-pool/worker').MessageHandler<import('epoll-pool/worker').HttpRequest>} */
export default function answer(request) {
  const route = routes[`${request.method} ${request.target.split('?')[0]}`];
  if (route === undefined) return json(request, 404, { error: 'no such route' });
  try {
    json(request, 200, route(request.body.length > 0 ? JSON.parse(request.body) : {}));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    json(request, 400, { error: error.message });
  }
}

function json(request, status, value) {
  request.respond(status, { 'content-type': 'application/json' }, `${JSON.stringify(value)}\n`);
}
