/**
 * All libraries of a policy's Lua, in the order in which a template opens them.
 */

import type { Library } from '../context/template.ts';
import { lualib } from '../engine/engine.ts';
import { installBase } from './base.ts';
import { openCoroutine } from './coroutine.ts';
import { luaopen_debug } from './debug.ts';
import { installGuard } from './guard.ts';
import { luaopen_io } from './io.ts';
import { luaopen_math } from './math.ts';
import { luaopen_os } from './os.ts';
import { luaopen_package } from './package.ts';
import { luaopen_string } from './string.ts';
import { luaopen_table } from './table.ts';
import { luaopen_utf8 } from './utf8.ts';

export const libraries: readonly Library[] = [
  { name: '_G', open: lualib.luaopen_base },
  { install: installBase },
  { install: installGuard },
  { name: 'package', open: luaopen_package },
  { name: 'coroutine', open: openCoroutine },
  { name: 'table', open: luaopen_table },
  { name: 'io', open: luaopen_io },
  { name: 'os', open: luaopen_os },
  { name: 'string', open: luaopen_string },
  { name: 'math', open: luaopen_math },
  { name: 'utf8', open: luaopen_utf8 },
  { name: 'debug', open: luaopen_debug },
];
