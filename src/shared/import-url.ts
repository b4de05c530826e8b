/** import() of a module that only the running program knows; bundlers are told to leave it alone. */
export function importUrl(url: string): Promise<unknown> {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ url);
}
