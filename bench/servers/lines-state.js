// What servers/lines-by-hand.js keeps of a connection from run to run, in its shared bytes.

/** Longest line; as much of one is kept. */
export const MOST_IN = 4096;
/** Bytes of one read. */
export const READ = 16_384;
/** The answers to all lines of one read and what was kept before. */
export const MOST_OUT = MOST_IN + READ;

/** Two lengths, then the beginning of a line, then output that the socket did not take. */
export const INPUT_AT = 4;
export const OUTPUT_AT = INPUT_AT + MOST_IN;
export const STATE_BYTES = OUTPUT_AT + MOST_OUT;

export function lengthAt(state, at) {
  return state[at] | (state[at + 1] << 8);
}

export function setLength(state, at, length) {
  state[at] = length & 255;
  state[at + 1] = length >> 8;
}
