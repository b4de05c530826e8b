/** What is wrong with a server's bytes, in words that a reader understands. */
import type { ProtocolProblem } from './http-response.js';

/** Bytes behind a whole response, or before any request. */
export const UNEXPECTED_BYTES = 'unexpected bytes after the response';

const WORDS: Readonly<Record<ProtocolProblem, string>> = {
  version: 'no HTTP/1.0 or HTTP/1.1 response',
  'status-code': 'invalid status code',
  header: 'invalid header line',
  'header-size': 'headers of more than 64 KiB',
  'content-length': 'invalid Content-Length',
  chunk: 'invalid chunk',
  upgrade: 'switched to another protocol (101)',
  truncated: 'closed in the middle of a response',
};

/** A framer's problem; what is none of HTTP's is in words already. */
export function wordsFor(problem: string): string {
  return new Map<string, string>(Object.entries(WORDS)).get(problem) ?? problem;
}
