/** What Server.listen() takes, and what it says of the rest. */
import { Server, type ServerOptions } from 'epoll-pool/server';
import * as sys from 'epoll-pool/sys';
import { expect, test } from 'vitest';
import { client, LINES, serve } from './support/server.ts';
import { module, until } from './support/service.ts';
import { rejection } from './support/within.ts';

const NOTHING = module('export default () => {};');

test.each<[string, Record<string, unknown>]>([
  ['ERR_INVALID_ARG_TYPE', { handler: undefined }],
  ['ERR_INVALID_ARG_TYPE', { handler: 5 }],
  ['ERR_INVALID_ARG_TYPE', { port: '80' }],
  ['ERR_OUT_OF_RANGE', { port: 65_536 }],
  ['ERR_OUT_OF_RANGE', { port: 0.5 }],
  ['ERR_INVALID_ARG_TYPE', { host: '127.0.0.1' }],
  ['ERR_INVALID_ARG_TYPE', { host: 5, port: 0 }],
  ['ERR_INVALID_ARG_TYPE', { path: 5 }],
  ['ERR_INVALID_ARG_TYPE', { ipv6Only: 'no' }],
  ['ERR_INVALID_ARG_TYPE', { path: '/tmp/x', ipv6Only: 1 }],
  ['ERR_INVALID_ARG_TYPE', { path: '/tmp/x', port: 0 }],
  ['ERR_OUT_OF_RANGE', { threads: 0 }],
  ['ERR_OUT_OF_RANGE', { threads: 255 }],
  ['ERR_OUT_OF_RANGE', { stateBytes: -1 }],
  ['ERR_OUT_OF_RANGE', { concurrency: 0 }],
  ['ERR_OUT_OF_RANGE', { maxConnections: 0 }],
  ['ERR_OUT_OF_RANGE', { maxMessage: 0 }],
  ['ERR_OUT_OF_RANGE', { highWaterMark: -1 }],
  ['ERR_OUT_OF_RANGE', { maxOutput: 2 ** 31 }],
  ['ERR_OUT_OF_RANGE', { memory: 1 }],
  ['ERR_OUT_OF_RANGE', { memory: 2 ** 40 }],
  ['ERR_OUT_OF_RANGE', { idleTimeout: -1 }],
  ['ERR_OUT_OF_RANGE', { handshakeTimeout: Number.NaN }],
  ['ERR_INVALID_ARG_TYPE', { idleTimeout: '5' }],
  ['ERR_INVALID_ARG_TYPE', { tls: true }],
  ['ERR_INVALID_ARG_TYPE', { reusePort: 1 }],
  ['ERR_INVALID_ARG_TYPE', { resourceLimits: 5 }],
])('%s: %o', async (code, options) => {
  const given: ServerOptions = { handler: NOTHING, ...options };
  expect(await rejection(Server.listen(given))).toMatchObject({ code });
});

test('no options at all', async () => {
  // @ts-expect-error: none
  expect(await rejection(Server.listen())).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
});

test.each([
  ['no default export', 'export const x = 1;', /default export/],
  ['a protocol that is none', 'export const protocol = 5; export default () => {};', /protocol/],
  ['a protocol without frame()', 'export const protocol = {}; export default () => {};', /frame/],
  [
    'a decode() that is none',
    'export const protocol = { frame: () => 0, decode: 5 }; export default () => {};',
    /decode/,
  ],
  ['an open() that is none', 'export const open = 5; export default () => {};', /open/],
  [
    'a setup() that throws',
    'export function setup() { throw new Error("in setup"); } export default () => {};',
    /in setup/,
  ],
  ['a throw', 'throw new Error("at load");', /at load/],
  ['a fault of grammar', 'export default (', /./],
])('a module with %s', async (_what, source, message) => {
  const error = await rejection(Server.listen({ handler: module(source), port: 0, threads: 2 }));
  expect(error).toMatchObject({ message: expect.stringMatching(message) });
});

test('setup() has the handlerData, once in each thread; state is zeroed for each connection', async () => {
  const source = module(`${LINES}
    let greeting;
    export async function setup(data) { greeting = data.greeting; data.greeting = 'x'; }
    export function open(connection) { connection.send(greeting + connection.state.join('') + ';'); }
    export default (line, connection) => { connection.state.fill(7); connection.send(connection.state.join('') + ';'); };`);
  const { port, closes } = await serve({
    handler: source,
    handlerData: { greeting: 'hello ' },
    stateBytes: 3,
    threads: 3,
  });
  for (let i = 0; i < 40; i++) {
    const peer = await client(port);
    await peer.has('hello 000;');
    peer.write('x\n');
    await peer.has('777;');
    peer.socket.end();
    await until(() => closes.length === i + 1, 'its end');
  }
});

test('setup() may choose the protocol', async () => {
  const source = `
    export let protocol;
    export function setup(end) { protocol = { frame: (input, seen) => input.indexOf(end, seen) + 1 }; }
    export default (bytes, connection) => { connection.send('<' + bytes + '>'); };`;
  const { port } = await serve({ handler: module(source), handlerData: 59 });
  const peer = await client(port);
  peer.write('one;two;');
  await peer.has('<one;><two;>');
});

test('a Server is made by listen() alone', () => {
  // @ts-expect-error: private
  expect(() => new Server({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
});

test("a connection that is kept after its end has no access to another's state", async () => {
  const source = module(`${LINES}
    let kept;
    export default (line, connection) => {
      if (line === 'keep') kept = connection;
      connection.state.fill(line === 'keep' ? 1 : 2);
      if (line === 'late') {
        kept.state.fill(9);
        connection.post([kept.state.join(''), kept.state === kept.state, connection.state.join('')]);
      }
    };`);
  const served = await serve({ handler: source, stateBytes: 3, threads: 1, maxConnections: 64 });
  const slotOf = (id: number): number => id % 2 ** 24;
  const adopt = async (line: string): Promise<number> => {
    const [ours, theirs] = sys.socketpair();
    const { id } = await served.server.adopt(ours, { unread: Buffer.from(line) });
    sys.close(theirs);
    return id;
  };
  const isOver = (): boolean => served.server.stats().connections === 0;
  const first = slotOf(await adopt('keep\n'));
  await until(isOver, 'its end');
  // Slots rest for as long as can be before they are used again.
  let heir: number | undefined;
  for (let round = 0; heir === undefined && round < 100; round++) {
    const ids = await Promise.all(Array.from({ length: 64 }, () => adopt('late\n')));
    await until(isOver, 'their ends');
    heir = ids.find(id => slotOf(id) === first);
  }
  await until(() => served.messages.some(({ id }) => id === heir), 'what it saw');
  expect(served.messages.find(({ id }) => id === heir)?.value).toEqual(['999', true, '222']);
}, 20_000);
