// The handler of servers/server-http.js.
import { http } from '../lib/ours-worker.js';
import { answering } from './answer.js';

const HEADERS = { 'content-type': 'text/plain' };
let { ofTarget } = answering('sha256 0');

export const protocol = http();

export function setup(data) {
  ({ ofTarget } = answering(data.work));
}

export default function answer(request) {
  request.respond(200, HEADERS, ofTarget(request.target));
}
