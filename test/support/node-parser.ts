/** What Node's own HTTP parser (llhttp) makes of bytes. */
import { createRequire } from 'node:module';

export interface Parsed {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly keepAlive: boolean;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Reading {
  readonly requests: readonly Parsed[];
  /** 'open' when the connection goes on; 'closed' when what comes after the last request is not read; or what is wrong. */
  readonly end: string;
}

/** The part of Node's parser that is used here. It has no types: node:http alone uses it. */
interface NativeParser {
  [callback: number]: (...values: unknown[]) => unknown;
  initialize(type: number, resource: object, maxHeaderSize: number, lenient: number): void;
  execute(bytes: Buffer): number | (Error & { code: string; reason: string });
  close(): void;
}
interface NativeParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
  readonly kLenientNone: number;
}
const common: { HTTPParser: NativeParserClass; methods: string[] } = createRequire(import.meta.url)('_http_common');
const { HTTPParser, methods } = common;

/** All that the pieces hold, read one after another. */
export function readByNode(pieces: readonly Buffer[], maxHeaderSize = 16_384): Reading {
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, maxHeaderSize, HTTPParser.kLenientNone);
  const requests: Parsed[] = [];
  let fields: string[] = [];
  let url = '';
  let now: Omit<Parsed, 'body'> | undefined;
  let body: Buffer[] = [];
  let end = 'open';
  parser[HTTPParser.kOnHeaders] = (headers, target) => {
    if (now !== undefined) return; // trailers
    fields.push(...strings(headers));
    url += String(target);
  };
  parser[HTTPParser.kOnHeadersComplete] = (...values) => {
    const [major, minor, headers, method, target, , , upgrade, keepAlive] = values;
    now = {
      method: methods[Number(method)] ?? '',
      target: url + String(target ?? ''),
      httpVersion: `${major}.${minor}`,
      keepAlive: keepAlive === true,
      rawHeaders: [...fields, ...strings(headers)],
    };
    if (upgrade === true) end = 'upgrade';
    return 0;
  };
  parser[HTTPParser.kOnBody] = (bytes: unknown) => {
    if (bytes instanceof Uint8Array) body.push(Buffer.from(bytes));
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (now === undefined) throw new Error('a message without headers');
    requests.push({ ...now, body: Buffer.concat(body).toString('latin1') });
    if (!now.keepAlive && end === 'open') end = 'closed';
    now = undefined;
    fields = [];
    url = '';
    body = [];
  };
  for (const piece of pieces) {
    const outcome = parser.execute(Buffer.from(piece));
    if (end !== 'open') break;
    if (outcome instanceof Error) {
      end = outcome.code;
      break;
    }
  }
  parser.close();
  return { requests, end };
}

function strings(values: unknown): string[] {
  return Array.isArray(values) ? values.map(String) : [];
}
