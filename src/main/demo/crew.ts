/** The threads that serve a row's connections. */
export interface Crew {
  /** Why the row cannot go on. */
  readonly error: Error | undefined;
  /** epoll_ctl calls since the traffic began, beside those that the threads count themselves. */
  controlCalls(): number;
  /** Events for which a thread was woken in vain, beside those that the threads count themselves. */
  idleEvents(): number;
  /** Joins the threads; the fds can be closed then. */
  stop(): Promise<void>;
}
