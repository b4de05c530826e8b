// What require() of the package gives: the ES module itself, which Node can load so since 20.19, by a file of CommonJS, and
// types that are CommonJS too. Without those TypeScript under node16 says that require() cannot have an ES module.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const RELATIVE = /((?:from|import)\s*\(?\s*['"])(\.[^'"]*)\.js(['"])/g;

/** @param entries the modules of the package's exports, by their files */
export function writeCommonJs(entries) {
  for (const file of entries) {
    writeFileSync(file.replace(/\.js$/, '.cjs'), `module.exports = require('./${basename(file)}');\n`);
  }
  // Of types, each file that an entry leads to.
  const types = new Set(entries.map(file => file.replace(/\.js$/, '.d.ts')));
  for (const file of types) {
    const text = readFileSync(file, 'utf8');
    for (const [, , path] of text.matchAll(RELATIVE)) types.add(`${join(dirname(file), path)}.d.ts`);
    writeFileSync(file.replace(/\.d\.ts$/, '.d.cts'), text.replaceAll(RELATIVE, '$1$2.cjs$3'));
  }
}
