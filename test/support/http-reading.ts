/** What http() makes of bytes, told as Node's parser tells it. */
import { http } from 'epoll-pool/worker';
import type { Parsed, Reading } from './node-parser.ts';
import { FakeServer } from './protocol.ts';

export interface Read extends Reading {
  /** All that was sent, but the dates. */
  readonly output: string;
  /** What has come of a request that waits for the rest of its body. */
  readonly unfinished: string;
}

/** All that the pieces hold, each request answered by 200 without a body. */
export async function readByUs(pieces: Iterable<Uint8Array | string>, framing = true): Promise<Read> {
  const requests: Parsed[] = [];
  const server = new FakeServer(
    http(),
    request => {
      const { method, target, httpVersion, keepAlive, rawHeaders } = request;
      requests.push({ method, target, httpVersion, keepAlive, rawHeaders, body: request.body.toString('latin1') });
      request.respond(200);
    },
    { framing },
  );
  for (const piece of pieces) await server.feed(piece);
  await server.finish();
  const { error, outcome } = server;
  const reason = error instanceof Error ? `${'status' in error ? error.status : 413} ${error.message}` : outcome;
  return {
    requests,
    end: outcome === 'end' ? 'closed' : outcome === 'open' ? 'open' : reason,
    unfinished: outcome === 'open' ? server.unfinished.toString('latin1') : '',
    output: server.connection.output.replaceAll(/date: .*\r\n/g, ''),
  };
}
