/** The Lua API, chapter by chapter: all of it but Lua's own libraries, of which only the differences are described. */

import type { Chapter } from '../modules/entry.ts';
import { MODULES } from '../modules/modules.ts';
import { luaChapter } from './lua.ts';
import { testChapter } from './test.ts';

export const API: readonly Chapter[] = [luaChapter, ...MODULES.flatMap(({ api }) => api), testChapter];
