/** Which file the threads load. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { THREAD_TEXT } from './thread-text.js';

/** In this package; in a bundle, where nobody knows. Not in one piece: webpack would take it for a file to copy. */
const BESIDE = ['..', '..', 'worker', 'service', 'thread.cjs'].join('/');

let written: string | undefined;

/**
 * The file that stands beside this one in the package. In a bundle there is none: the module's text, which is part of the
 * bundle, becomes a temporary file, for as long as the process lives.
 *
 * @throws what writing it says (EROFS, ENOSPC …), with the remedy
 */
export function ownThreadFile(): string {
  const here: string | undefined = import.meta.url; // CommonJS that esbuild has made has none
  const beside = here === undefined ? undefined : fileURLToPath(new URL(BESIDE, here));
  if (beside !== undefined && existsSync(beside)) return beside;
  if (written === undefined || !existsSync(written)) written = write();
  return written;
}

function write(): string {
  try {
    const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'thread.cjs');
    writeFileSync(file, THREAD_TEXT);
    return file;
  } catch (error) {
    if (error instanceof Error) {
      error.message += "; the option threadFile names a bundle of 'epoll-pool/thread', and then nothing is written";
    }
    throw error;
  }
}
