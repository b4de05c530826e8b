/** Sends a fetch-style application's Response: with its length where it is there at once, otherwise as it comes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidType, outOfRange } from '../../../shared/errors.js';
import type { Connection } from '../connection.js';
import type { ServerRequest } from './http-request.js';

/** A body waits while more than this is kept for its client. */
const MOST_PENDING = 65_536;
/** The most that is sent at a time: what is kept for a client stays below `maxOutput`, however long the body is. */
const MOST_PART = 65_536;
/**
 * Between two looks whether a client has taken what was kept, in milliseconds: the first, doubling to the last for as long as it takes
 * nothing. Clients that take nothing may be many, and for ever: they must cost next to nothing.
 */
const FIRST_LOOK = 1;
const LAST_LOOK = 256;
/** Turns of the microtask queue after which a body that was given as a string, bytes or JSON has said what it has; two are needed. */
const TURNS = 8;
/** How long a head waits for its body's first piece, which may be all of it, or fail: then the head goes without, as an event stream's must. */
const MOST_HEAD_MS = 10;

type Read = Awaited<ReturnType<ReadableStreamDefaultReader<unknown>['read']>>;

/** Cancels a body when its client goes away. */
export interface Cancelling {
  cancels(reader: ReadableStreamDefaultReader<unknown>): void;
  /** A piece of it has come. */
  moves(): void;
}

/** @throws whatever the body's stream throws; TypeError ERR_INVALID_ARG_TYPE for what is no Response, or a piece that is no Uint8Array */
export async function answerWith(message: ServerRequest, answer: unknown, cancelling: Cancelling): Promise<void> {
  if (!isResponse(answer)) throw invalidType('what fetch() gave', 'a Response', answer);
  const { status, body } = answer;
  const bodiless = message.method === 'HEAD' || status === 204 || status === 304;
  const { headers, length } = headersOf(answer, bodiless);
  if (body === null || bodiless) {
    if (body !== null) cancel(body);
    message.respond(status, headers);
    return;
  }
  const reader: ReadableStreamDefaultReader<unknown> = body.getReader();
  cancelling.cancels(reader);
  const reading = reader.read();
  const first = (await atOnce(reading)) ?? (await soon(reading));
  if (first?.done) {
    message.respond(status, headers);
    return;
  }
  try {
    if (first === undefined) {
      message.begin(status, headers, length);
      await stream(message, reader, [reading], length, cancelling);
      return;
    }
    const piece = bytesOf(first.value);
    const next = reader.read();
    const isWhole = (await atOnce(next))?.done === true;
    if (isWhole && piece.byteLength <= MOST_PART) {
      message.respond(status, headers, piece);
    } else {
      const said = isWhole ? piece.byteLength : length;
      message.begin(status, headers, said);
      await stream(message, reader, [reading, next], said, cancelling);
    }
  } catch (error) {
    cancel(reader);
    throw error;
  }
}

/** Cancels a body, or what reads it. */
export function cancel(body: ReadableStreamDefaultReader<unknown> | ReadableStream<unknown>): void {
  // A stream that fails when it is cancelled has nobody left to tell.
  body.cancel().catch(() => {});
}

/** Fetch's own, or another implementation's. */
function isResponse(value: unknown): value is Response {
  return (
    typeof value === 'object' &&
    value !== null &&
    'status' in value &&
    'headers' in value &&
    'body' in value &&
    typeof value.headers === 'object' &&
    value.headers !== null &&
    Symbol.iterator in value.headers
  );
}

/** What to say of a response, but what concerns this connection alone, or is of another. `length`: what it says to have. */
function headersOf(
  answer: Response,
  keepLength: boolean,
): { headers: Record<string, string | string[]>; length: number | undefined } {
  const headers: Record<string, string | string[]> = Object.create(null);
  let length: number | undefined;
  for (const [name, value] of answer.headers) {
    if (name === 'transfer-encoding' || name === 'keep-alive') continue;
    if (name === 'content-length') {
      const isLength = /^\d+$/.test(value);
      if (isLength) length = Number(value);
      if (!isLength || !keepLength) continue;
    }
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else headers[name] = typeof before === 'string' ? [before, value] : [...before, value]; // set-cookie alone comes twice
  }
  return { headers, length };
}

/** What is read if it is there at once, as the body of a string, bytes or JSON is. What it fails with is thrown. */
async function atOnce(reading: Promise<Read>): Promise<Read | undefined> {
  let isSettled = false;
  const settled = (): void => {
    isSettled = true;
  };
  reading.then(settled, settled);
  for (let turn = 0; turn < TURNS && !isSettled; turn++) await undefined;
  return isSettled ? reading : undefined;
}

/** What is read if it comes before a head must go. What it fails with is thrown. */
async function soon(reading: Promise<Read>): Promise<Read | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), MOST_HEAD_MS);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What is read, whenever it comes: an event stream's next event may be long in coming. */
async function inTime(message: ServerRequest, reading: Promise<Read>): Promise<Read> {
  if (message.connection.pending === 0) message.rest(true);
  try {
    return await reading;
  } finally {
    message.rest(false);
  }
}

/** @param ahead what is being read already */
async function stream(
  message: ServerRequest,
  reader: ReadableStreamDefaultReader<unknown>,
  ahead: Array<Promise<Read>>,
  length: number | undefined,
  cancelling: Cancelling,
): Promise<void> {
  const { connection } = message;
  let sent = 0;
  while (connection.open) {
    const reading = ahead.shift() ?? reader.read();
    const read = (await atOnce(reading)) ?? (await inTime(message, reading));
    if (read.done) break;
    cancelling.moves();
    const piece = bytesOf(read.value);
    sent += piece.byteLength;
    if (length !== undefined && sent > length) {
      throw outOfRange('the body', `its content-length of ${length} bytes long`, sent);
    }
    // A client is never given more at a time than what may be kept for it, however long a piece is.
    for (let at = 0; at < piece.byteLength && connection.open; at += MOST_PART) {
      message.write(piece.subarray(at, at + MOST_PART));
      if (connection.pending > MOST_PENDING) await taken(connection);
    }
  }
  if (!connection.open) cancel(reader);
  else if (length !== undefined && sent < length) {
    throw outOfRange('the body', `its content-length of ${length} bytes long`, sent);
  }
  message.finish();
}

/** Waits while the client has much to take. */
async function taken(connection: Connection): Promise<void> {
  let look = FIRST_LOOK;
  for (let before = connection.pending; connection.open && before > MOST_PENDING; ) {
    await sleep(look);
    const { pending } = connection;
    look = pending < before ? FIRST_LOOK : Math.min(look * 2, LAST_LOOK);
    before = pending;
  }
}

function bytesOf(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw invalidType("a piece of a Response's body", 'a Uint8Array', piece);
}
