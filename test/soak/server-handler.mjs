// What the servers of the soak do: lines say what is wanted; HTTP's requests are answered, some of them later.
import { http, lines } from 'epoll-pool/worker';

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
export let protocol;

export function setup(kind) {
  protocol = kind === 'http' ? http() : lines();
}

export function open(connection) {
  connection.post('open');
}

export function close(connection) {
  connection.post('close');
}

export default function handle(message, connection) {
  return typeof message === 'string' ? line(message, connection) : answer(message);
}

function line(text, connection) {
  const [act, number] = text.split(' ');
  connection.state[0]++;
  if (act === 'exit') process.exit(1);
  if (act === 'throw') throw new Error('asked for');
  if (act === 'destroy') connection.destroy();
  if (act === 'tell') connection.broadcast(`${'t'.repeat(number % 2000)}\n`, connection.id);
  if (act === 'big') connection.send('t'.repeat(number % 100_000).concat('\n'));
  if (act === 'later') return pause(number % 5).then(() => void connection.send(`${text}\n`));
  connection.send(`${text}\n`);
}

function answer(request) {
  if (request.target.length % 3 === 0) return pause(2).then(() => request.respond(200, {}, request.body));
  request.respond(200, {}, request.body);
}
