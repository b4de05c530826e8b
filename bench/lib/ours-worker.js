// What the threads import of the package as built in this clone.
export * from '../../dist/worker/index.js';
