/** What each row teaches, in a line. */
import { type Figures, isClean } from './row.js';

export function lesson(figures: Figures, messages: number): string {
  const clean = isClean(figures, messages);
  switch (figures.row) {
    case 'raw level':
      if (clean) return 'No overlap this time: more threads, connections or messages would show it.';
      return 'Ready until it is read: other threads are woken for it too, and walk in on the first.';
    case 'raw edge':
      if (clean) return 'No overlap this time: more threads, connections or messages would show it.';
      return 'What comes while a thread reads and handles is a new edge, and wakes a second thread.';
    case 'raw oneshot':
      if (!clean) return 'Not clean, although every event was followed by its re-arming. That is unexpected.';
      return 'Safe, for one epoll_ctl per event; a path that forgets to re-arm silences a connection.';
    case 'service':
      if (!clean) return 'Not clean. This must not happen: please report it, with these figures.';
      return 'One thread in a connection at a time, nothing lost, and no epoll_ctl for each event.';
  }
}
