#!/usr/bin/env node
/** The command `epoll-pool`. */
export {};
