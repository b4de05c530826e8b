// The package as built in this clone: a name would be looked up in bench/ only.
export * from '../../dist/main/index.js';
export { Server } from '../../dist/main/server/index.js';
export * as sys from '../../dist/shared/kernel/sys.js';
