/** The package's own handler modules: part of the threads' module, so that a bundle need not find them. */
import { LOAD_HANDLER, SERVER_HANDLER } from '../shared/service/own-handlers.js';
import * as load from './load/handler.js';
import * as server from './server/handler.js';

export const OWN_HANDLERS: ReadonlyMap<string, object> = new Map<string, object>([
  [LOAD_HANDLER, load],
  [SERVER_HANDLER, server],
]);
