/** Reads a file that an option names, such as a request's body. */
import { readFileSync } from 'node:fs';
import { outOfRange } from '../../shared/errors.js';

/** @param name of the option @throws RangeError ERR_OUT_OF_RANGE for a directory, what the system says for what cannot be read */
export function readBody(file: string | URL | number, name: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    // The system's words do not name it.
    const isFolder = error instanceof Error && 'code' in error && error.code === 'EISDIR';
    throw isFolder ? outOfRange(name, 'a file, not a directory', String(file)) : error;
  }
}
