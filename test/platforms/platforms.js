// The platforms by name; each says what it ran, throws what went wrong, or Skip.

import { esbuild, rollup, vite, webpack } from './bundlers.js';
import { nodeOf, smoke, userFolder } from './lib.js';
import { arm64, musl } from './machines.js';
import { berry, pnpm, yarn } from './managers.js';
import { attw, publint } from './package.js';
import { bun, deno } from './runtimes.js';

/** The oldest of Node's versions that the package takes, and the newest of each later major that npm has. */
const NODES = ['20.19.0', '22', '24', '26'];

async function node(version) {
  return smoke([await nodeOf(version)], await userFolder(`node-${version}`));
}

export const PLATFORMS = new Map([
  ...NODES.map(version => [`node-${version}`, () => node(version)]),
  ['arm64', arm64],
  ['musl', musl],
  ['bun', bun],
  ['deno', deno],
  ['pnpm', pnpm],
  ['yarn', yarn],
  ['berry', berry],
  ['esbuild', esbuild],
  ['rollup', rollup],
  ['webpack', webpack],
  ['vite', vite],
  ['publint', publint],
  ['attw', attw],
]);
