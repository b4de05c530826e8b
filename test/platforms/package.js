// What the package's own form says: publint, and are-the-types-wrong.
import { packed, run, userFolder } from './lib.js';

export async function publint() {
  const folder = await userFolder('publint', 'publint');
  await run(['npx', '--no-install', 'publint', '--strict', await packed()], { cwd: folder });
}

export async function attw() {
  const folder = await userFolder('attw', '@arethetypeswrong/cli');
  await run(['npx', '--no-install', 'attw', '--profile', 'esm-only', await packed()], { cwd: folder });
}
