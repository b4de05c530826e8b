/**
 * The demo's messages: magic, length, connection and sequence number (each 4 bytes), filling, a checksum. A reader that
 * has lost its place finds the next message by the magic, and the checksum tells a whole one from two halves.
 */
import { crc32 } from 'node:zlib';

const MAGIC = Buffer.from([0xe9, 0x01, 0x1e, 0xf5]);
const HEADER = 16;
const CHECKSUM = 4;
const SHORTEST = 48;
const LONGEST = 400;

/** Lengths vary, so that a reader has to keep what it has of a message until the rest is there. */
function lengthOf(connection: number, sequence: number): number {
  return SHORTEST + ((connection * 31 + sequence * 97) % (LONGEST - SHORTEST + 1));
}

export function encodeMessage(connection: number, sequence: number): Buffer {
  const length = lengthOf(connection, sequence);
  const message = Buffer.alloc(length, sequence & 0x7f);
  MAGIC.copy(message);
  message.writeUInt32LE(length, 4);
  message.writeUInt32LE(connection, 8);
  message.writeUInt32LE(sequence, 12);
  message.writeUInt32LE(crc32(message.subarray(0, length - CHECKSUM)), length - CHECKSUM);
  return message;
}

export interface Frame {
  /** What the bytes begin with: a whole message, a part that needs more bytes, or bytes that belong to no message. */
  readonly kind: 'whole' | 'part' | 'debris';
  /** How many bytes that is. */
  readonly length: number;
}

/** Finds the first message in the bytes, or what stands before it. */
export function frame(bytes: Buffer): Frame {
  const start = bytes.indexOf(MAGIC);
  if (start !== 0) return start > 0 ? { kind: 'debris', length: start } : tail(bytes);
  if (bytes.length < HEADER) return { kind: 'part', length: bytes.length };
  const length = bytes.readUInt32LE(4);
  if (length < SHORTEST || length > LONGEST) return { kind: 'debris', length: MAGIC.length };
  if (bytes.length < length) return { kind: 'part', length: bytes.length };
  const checksum = bytes.readUInt32LE(length - CHECKSUM);
  if (crc32(bytes.subarray(0, length - CHECKSUM)) !== checksum) return { kind: 'debris', length: MAGIC.length };
  return { kind: 'whole', length };
}

/** No magic in it: at most the last bytes can be the beginning of one. */
function tail(bytes: Buffer): Frame {
  for (let kept = Math.min(MAGIC.length - 1, bytes.length); kept > 0; kept--) {
    if (!bytes.subarray(bytes.length - kept).equals(MAGIC.subarray(0, kept))) continue;
    if (kept === bytes.length) return { kind: 'part', length: kept };
    return { kind: 'debris', length: bytes.length - kept };
  }
  return { kind: bytes.length === 0 ? 'part' : 'debris', length: bytes.length };
}

export function connectionOf(message: Buffer): number {
  return message.readUInt32LE(8);
}

export function sequenceOf(message: Buffer): number {
  return message.readUInt32LE(12);
}

/** An answer is the sequence number of the message that it answers. */
export const ANSWER = 4;
