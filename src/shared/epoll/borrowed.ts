/** What makes an Epoll or a Waker a borrower: an fd that somebody else owns, and closes. */

/** @internal */
export class Borrowed {
  constructor(readonly fd: number) {}
}
