/** The threads' module as one text, for bundles: the build puts it here. */
export const THREAD_TEXT: string = '';
