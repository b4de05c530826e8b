// Other processors and other C libraries than this machine's.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  cacheFolder,
  freshFolder,
  needCommands,
  nodeOf,
  npmInstall,
  packed,
  run,
  Skip,
  smoke,
  userFolder,
} from './lib.js';

/** The libraries that Node is linked with. */
const LIBRARIES = ['libc6', 'libgcc-s1', 'libstdc++6'];

/** Debian's packages of another architecture, unpacked into a folder; nothing of the system is touched. */
async function debianRoot(arch) {
  needCommands('apt-get', 'dpkg-deb');
  const folder = cacheFolder(`debian-${arch}`);
  const root = join(folder, 'root');
  if (existsSync(root)) return root;
  for (const name of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, name), { recursive: true });
  const options = {
    'APT::Architecture': arch,
    'APT::Architectures::': arch,
    'APT::Sandbox::User': 'root',
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
  };
  const words = ['apt-get', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  try {
    await run([...words, 'update'], { cwd: folder });
    await run([...words, 'download', ...LIBRARIES], { cwd: folder });
  } catch (error) {
    throw new Skip(`Debian's ${arch} packages are not to be had: ${String(error.message).split('\n')[0]}`);
  }
  const unpacked = join(folder, 'unpacked');
  for (const name of readdirSync(folder).filter(name => name.endsWith('.deb'))) {
    await run(['dpkg-deb', '-x', join(folder, name), unpacked]);
    rmSync(join(folder, name));
  }
  renameSync(unpacked, root);
  return root;
}

/** An arm64 Node of npm's in qemu-user, with Debian's arm64 libraries. */
export async function arm64() {
  needCommands('qemu-aarch64-static');
  const root = await debianRoot('arm64');
  const node = await nodeOf('20', 'arm64');
  const folder = await userFolder('arm64');
  // koffi's native part is another package there.
  await npmInstall(folder, '--cpu=arm64', '--force', await packed());
  const parts = ['primitive', 'sys', 'loop', 'worker', 'service', 'detach'];
  return `${await smoke(['qemu-aarch64-static', '-L', root, node], folder, { parts, ms: 120_000 })} in qemu-user`;
}

/** Of GCC's sources: what libstdc++ is built from. */
const SOURCES = [
  'libstdc++-v3',
  'libgcc',
  'config',
  'include',
  'libiberty',
  'gcc/BASE-VER',
  'gcc/DATESTAMP',
  'gcc/DEV-PHASE',
];
const SCRIPTS = [
  'config.sub',
  'config.guess',
  'install-sh',
  'ltmain.sh',
  'mkinstalldirs',
  'config-ml.in',
  'missing',
  '*.m4',
];

/** libstdc++ for musl, by musl-gcc: Debian's own wants glibc's locales. Built once, in some minutes. */
async function muslLibraries() {
  const folder = cacheFolder(`musl-${process.arch}`);
  const libraries = join(folder, 'lib');
  if (existsSync(libraries)) return libraries;
  needCommands('apt-get', 'dpkg-deb', 'g++', 'make', 'xz');
  const version = (await run(['gcc', '-dumpversion'])).trim().split('.')[0];
  const work = freshFolder('libstdc++');
  try {
    await run(['apt-get', 'download', `gcc-${version}-source`], { cwd: work });
  } catch (error) {
    throw new Skip(`GCC's sources are not to be had: ${String(error.message).split('\n')[0]}`);
  }
  const wanted = [...SOURCES, ...SCRIPTS].map(name => `'*/${name}'`).join(' ');
  const wrapper = join(work, 'musl-g++');
  writeFileSync(wrapper, '#!/bin/sh\nexec g++ "$@" -specs "$(echo /usr/lib/*-linux-musl/musl-gcc.specs)"\n', {
    mode: 0o755,
  });
  const script = `set -e
    dpkg-deb -x gcc-*.deb .
    tar xf usr/src/gcc-${version}/gcc-*.tar.xz --wildcards ${wanted}
    cd gcc-*/
    cp libgcc/gthr-posix.h libgcc/gthr-default.h
    mkdir build
    cd build
    cpu=$(uname -m)
    ../libstdc++-v3/configure --host=$cpu-linux-musl --build=$cpu-linux-gnu --disable-multilib --disable-nls \
      --enable-clocale=generic --disable-libstdcxx-pch --disable-libstdcxx-verbose CC=musl-gcc CXX=${wrapper}
    make -j$(nproc)
    mkdir ${work}/lib
    cp -P src/.libs/libstdc++.so* ${work}/lib
    cp $(gcc -print-file-name=libgcc_s.so.1) ${work}/lib`;
  await run(['sh', '-c', script], { cwd: work, ms: 30 * 60_000 });
  cpSync(join(work, 'lib'), `${libraries}.new`, { recursive: true, verbatimSymlinks: true });
  renameSync(`${libraries}.new`, libraries);
  return libraries;
}

/** There is no Node for musl on npm: one for glibc, whose loader is Debian's musl, with what musl has not. */
export async function musl() {
  needCommands('patchelf', 'musl-gcc');
  const folder = freshFolder('musl');
  const node = join(folder, 'node');
  cpSync(await nodeOf('20.19.0'), node);
  const libraries = await muslLibraries();
  const shim = join(folder, 'libglibc-shim.so');
  await run(['musl-gcc', '-shared', '-fPIC', '-o', shim, fileURLToPath(new URL('glibc-shim.c', import.meta.url))]);
  // The glibc loader is among the libraries that Node names: the shim stands in for it, too.
  const cpu = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  symlinkSync(shim, join(folder, process.arch === 'x64' ? 'ld-linux-x86-64.so.2' : 'ld-linux-aarch64.so.1'));
  await run(['patchelf', '--set-interpreter', `/lib/ld-musl-${cpu}.so.1`, node]);
  const env = { LD_LIBRARY_PATH: [libraries, folder].join(delimiter) };
  const report = 'JSON.stringify(process.report.getReport().sharedObjects)';
  assert.match(await run([node, '-p', report], { env }), /ld-musl/);
  return `${await smoke([node], await userFolder('musl'), { env })} on musl`;
}
