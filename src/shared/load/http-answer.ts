/** A whole HTTP response taken apart, for check(): known to be well formed, as a ResponseFramer has found its end. */
import type { ScriptResponse } from './script.js';

const LF = 10;
const CR = 13;

/** @param bytes one response, 1xx responses before it included */
export function answerOf(status: number, bytes: Buffer): ScriptResponse {
  let at = 0;
  let head: string[] = [];
  // Whatever came before the last head was an interim response.
  do {
    const end = endOfHead(bytes, at);
    head = bytes.toString('latin1', at, end).split(/\r?\n/);
    at = end;
  } while (/^HTTP\/1\.\d 1\d\d/.test(head[0] ?? ''));
  const headers = headersOf(head);
  const isChunked = /(^|,)[ \t]*chunked[ \t]*$/i.test(headers['transfer-encoding'] ?? '');
  const rest = bytes.subarray(at);
  // A copy: the script may keep it.
  return { status, headers, body: isChunked && rest.length > 0 ? unchunked(rest) : Buffer.from(rest) };
}

/** Where the empty line ends. */
function endOfHead(bytes: Buffer, from: number): number {
  for (let i = bytes.indexOf(LF, from); i >= 0; i = bytes.indexOf(LF, i + 1)) {
    if (bytes[i + 1] === LF) return i + 2;
    if (bytes[i + 1] === CR && bytes[i + 2] === LF) return i + 3;
  }
  return bytes.length;
}

function headersOf([, ...lines]: readonly string[]): Record<string, string> {
  // No prototype: a header may be called __proto__.
  const headers: Record<string, string> = Object.create(null);
  let last = '';
  for (const line of lines) {
    if (/^[ \t]/.test(line)) {
      headers[last] += ` ${line.trim()}`;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    last = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[last] = headers[last] === undefined ? value : `${headers[last]}, ${value}`;
  }
  return headers;
}

function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf(LF, at);
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 1, end + 1 + size));
    at = end + 1 + size;
    at += bytes[at] === CR ? 2 : 1;
  }
}
