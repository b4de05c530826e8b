/**
 * What is known of a connection's response between two chunks: doubles (counts may exceed 32 bits), which can lie in memory
 * that threads share. All 0 is a fresh connection.
 */

/** What comes next: one of the numbers below. */
export const STATE = 0;
/** What the headers have said so far. */
export const FLAGS = 1;
/** Content-Length while headers are read; then bytes of the body, or of the chunk, that are still to come. */
export const LEFT = 2;
/** The number that is being read. */
export const NUMBER = 3;
/** Bytes of this response so far. */
export const BYTES = 4;
/** Of those, what counts towards the limit of headers. */
export const HEADER = 5;
export const STATUS = 6;
/** The header that is being read, the word in its value, and how many bytes of name or word have matched. */
export const NAME = 7;
export const WORD = 8;
export const MATCHED = 9;
/** How many doubles that makes. */
export const STATE_WORDS = 10;

export const F_HTTP10 = 1;
export const F_CLOSE = 2;
export const F_KEEP_ALIVE = 4;
export const F_LENGTH = 8;
export const F_TRANSFER = 16;
export const F_CHUNKED = 32;
/** The lines that are read are a chunked body's trailers. */
export const F_TRAILER = 64;

// Lines: status line, headers, trailers (http-head.ts).
export const S_STATUS_LINE = 0;
export const S_LINE = 1;
export const S_OTHER_NAME = 2;
export const S_OTHER_VALUE = 3;
export const S_LINE_FEED = 4;
export const S_LAST_FEED = 5;
export const S_NAME = 6;
export const S_LENGTH_START = 7;
export const S_LENGTH = 8;
export const S_LENGTH_END = 9;
export const S_WORD_START = 10;
export const S_WORD = 11;
/** The empty line has been read. */
export const S_HEAD_DONE = 13;
// The lines around chunks (http-chunk.ts).
export const S_CHUNK_END = 14;
export const S_CHUNK_END_FEED = 15;
export const S_CHUNK_START = 16;
export const S_CHUNK_SIZE = 17;
export const S_CHUNK_EXTENSION = 18;
export const S_CHUNK_FEED = 19;
// Bytes that are counted, not looked at.
export const S_CHUNK = 20;
export const S_BODY = 21;
export const S_UNTIL_CLOSE = 22;

/** What is wrong with bytes that are no HTTP/1.x response. */
export type ProtocolProblem =
  /** It does not begin with HTTP/1.0 or HTTP/1.1. */
  | 'version'
  /** No status code from 100 to 999. */
  | 'status-code'
  /** A header line without a name and a colon, with a control character, or folded where it matters. */
  | 'header'
  /** The headers, a chunk's extensions, or the trailers exceed the limit. */
  | 'header-size'
  /** No number, too large a number, or several that differ. */
  | 'content-length'
  /** A chunk whose size is no number, or that does not end where it says. */
  | 'chunk'
  /** The server switched to another protocol (101). */
  | 'upgrade'
  /** The connection ended inside a response. */
  | 'truncated';

/** How the reading functions return a problem: its index, below 0. */
export const PROBLEMS: ReadonlyArray<ProtocolProblem | undefined> = [
  undefined,
  'version',
  'status-code',
  'header',
  'content-length',
  'chunk',
];
export const BAD_VERSION = -1;
export const BAD_STATUS = -2;
export const BAD_HEADER = -3;
export const BAD_LENGTH = -4;
export const BAD_CHUNK = -5;
