/** The names of the package's own handler modules, each given to a service as the URL of its `handler`. */
export const LOAD_HANDLER = 'epoll-pool:load';
