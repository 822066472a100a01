/** The Lua API, chapter by chapter: all of it but Lua's own libraries, of which only the differences are described. */
import { callbacksChapter } from './callbacks.ts';
import { dnsChapter } from './dns.ts';
import type { Chapter } from './entry.ts';
import { luaChapter } from './lua.ts';
import { messageChapters } from './message.ts';
import { smtpChapters } from './smtp.ts';
import { syslogChapters } from './syslog.ts';
import { testChapter } from './test.ts';

export const API: readonly Chapter[] = [
  luaChapter,
  callbacksChapter,
  ...smtpChapters,
  ...messageChapters,
  ...syslogChapters,
  dnsChapter,
  testChapter,
];
