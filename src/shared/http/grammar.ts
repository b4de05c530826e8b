/** The characters and words of HTTP/1.1 (RFC 9112) that framing has to know: the server reads requests by them, the load tester responses. */

/** 1 for each byte that a header's name may hold (RFC 9110, tchar). */
export const TOKEN = new Uint8Array(256);
for (const byte of Buffer.from("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
  TOKEN[byte] = 1;
}

/** The value of each hexadecimal digit; 255 for other bytes. */
export const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  HEX[text.charCodeAt(0)] = digit;
  HEX[text.toUpperCase().charCodeAt(0)] = digit;
}

export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;
export const COMMA = 44;
export const DIGIT_0 = 48;
export const DIGIT_9 = 57;
export const COLON = 58;
export const SEMICOLON = 59;
export const LOWER_C = 99;
export const LOWER_I = 105;
export const LOWER_K = 107;
export const LOWER_T = 116;

/** How a status line begins; a digit, a space and the status code follow. */
export const VERSION = new Uint8Array(Buffer.from('HTTP/1.'));

// What a partly read name or word may become: an index of WORDS.
export const OTHER = 0;
export const CONNECTION = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const CLOSE = 4;
export const KEEP_ALIVE = 5;
export const CHUNKED = 6;
export const IDENTITY = 7;

/** The words that matter, in lower case. */
export const WORDS: readonly Uint8Array[] = [
  '',
  'connection',
  'content-length',
  'transfer-encoding',
  'close',
  'keep-alive',
  'chunked',
  'identity',
].map(word => new Uint8Array(Buffer.from(word)));
