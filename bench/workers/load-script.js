// A cheap script for `epoll-pool load`.
export function request(n) {
  return { path: `/?n=${n}` };
}
