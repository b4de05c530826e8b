/** Strings of a request's head, made when they are asked for: of bytes that RequestHead has read. */
import { COLON, CR } from '../../../shared/http/grammar.js';
import { dropBlanks, skipBlanks } from './http-head.js';

const LOWER = new Uint8Array(128).map((_, c) => (c >= 65 && c <= 90 ? c + 32 : c));
/** Methods by their first four bytes: most requests' need not be made of their bytes. */
const METHODS = new Map(
  ['GET ', 'POST', 'PUT ', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'].map(name => [
    Buffer.from(name).readInt32BE(),
    name.trim(),
  ]),
);

export function methodOf(bytes: Buffer, start: number, end: number): string {
  const known = METHODS.get(
    ((bytes[start] ?? 0) << 24) |
      ((bytes[start + 1] ?? 0) << 16) |
      ((bytes[start + 2] ?? 0) << 8) |
      (bytes[start + 3] ?? 0),
  );
  if (known !== undefined && known.length === end - start) {
    if (known.length <= 4) return known;
    const name = bytes.toString('latin1', start, end);
    return name === known ? known : name;
  }
  return bytes.toString('latin1', start, end);
}

/** Three numbers for each header; `end` is where the empty line begins. */
export function indexFields(bytes: Buffer, from: number, end: number): number[] {
  const fields: number[] = [];
  for (let i = from; i < end; ) {
    const colon = bytes.indexOf(COLON, i);
    const line = bytes.indexOf(CR, colon);
    if (colon < 0 || line < 0) break; // not so in what was read, should somebody have written over it
    fields.push(i, colon, line);
    i = line + 2;
  }
  return fields;
}

export function isNamed(bytes: Buffer, from: number, name: string): boolean {
  for (let k = 0; k < name.length; k++) {
    if (LOWER[bytes[from + k] ?? 0] !== LOWER[name.charCodeAt(k)]) return false;
  }
  return true;
}

export function valueIn(bytes: Buffer, colon: number, line: number): string {
  const begin = skipBlanks(bytes, colon + 1, line);
  return bytes.toString('latin1', begin, dropBlanks(bytes, begin, line));
}
