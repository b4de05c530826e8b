/** The package's own handler modules: part of the threads' module, so that a bundle need not find them; loaded by who asks. */
import { LOAD_HANDLER, SERVER_HANDLER } from '../shared/service/own-handlers.js';

export const OWN_HANDLERS: ReadonlyMap<string, () => Promise<object>> = new Map<string, () => Promise<object>>([
  [LOAD_HANDLER, () => import('./load/handler.js')],
  [SERVER_HANDLER, () => import('./server/handler.js')],
]);
