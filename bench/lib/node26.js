// Node 26, which comes as an npm package: for peers that older versions do not have.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Skip } from './contestant.js';

const file = fileURLToPath(new URL(`../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url));

/** Its path. @throws Skip where it is not installed */
export function node26() {
  if (!existsSync(file)) throw new Skip('Node 26 is not installed');
  return file;
}
