// A handler, and a task for piscina, that does nothing.
export default function nothing() {}
