/** The Lua API beyond Lua's own libraries, all of it, chapter by chapter. */
import { callbacksChapter } from './callbacks.ts';
import { dnsChapter } from './dns.ts';
import type { Chapter } from './entry.ts';
import { messageChapters } from './message.ts';
import { smtpChapters } from './smtp.ts';
import { syslogChapters } from './syslog.ts';

export const API: readonly Chapter[] = [
  callbacksChapter,
  ...smtpChapters,
  ...messageChapters,
  ...syslogChapters,
  dnsChapter,
];
