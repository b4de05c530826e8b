// Other processors and other C libraries than this machine's.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, needCommands, nodeOf, npmInstall, packed, run, Skip, smoke, userFolder } from './lib.js';

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

export async function musl() {
  throw new Skip('not automated yet');
}
