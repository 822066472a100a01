/**
 * What the functions of Lua's own libraries take and give, for `check`: each as
 *
 *     parameters -> results [or other results]
 *
 * A parameter is `name: type`, with `?` behind the name where it may be nil or left out; `...` stands for any number.
 * So it does at the end of results. Results that belong together stand in one list: `io.open` gives a file, or nil and why there is none.
 */
import type { Parameter } from '../modules/entry.ts';

export interface LuaFunction {
  readonly params: readonly Parameter[];
  /** The lists of results of which a call gives one. */
  readonly forms: readonly (readonly string[])[];
}

const FAILED = 'nil, string, integer';

const SIGNATURES: Readonly<Record<string, string>> = {
  assert: 'v: any, ... -> any',
  collectgarbage: 'opt?: string, arg?: any -> any',
  error: 'message: any, level?: integer -> ',
  getmetatable: 'object: any -> any',
  ipairs: 't: table -> function, table, integer',
  load: 'chunk: string|function, chunkname?: string, mode?: string, env?: any -> any, ...',
  loadfile: 'filename?: string, mode?: string, env?: any -> function or nil, string',
  next: 'table: table, index?: any -> any',
  pairs: 't: table -> function, table, nil',
  pcall: 'f: any, ... -> boolean, ...',
  print: '... -> ',
  rawequal: 'v1: any, v2: any -> boolean',
  rawget: 'table: table, index: any -> any',
  rawlen: 'v: table|string -> integer',
  rawset: 'table: table, index: any, value: any -> table',
  require: 'modname: string -> any',
  select: 'n: integer|string, ... -> any',
  setmetatable: 'table: table, metatable?: table -> any',
  tonumber: 'e: any, base?: integer -> number|nil',
  tostring: 'v: any -> string',
  type: 'v: any -> "nil"|"number"|"string"|"boolean"|"table"|"function"|"thread"|"userdata"',
  xpcall: 'f: any, msgh: function, ... -> boolean, ...',
  'coroutine.create': 'f: function -> any',
  'coroutine.resume': 'co: any, ... -> boolean, ...',
  'coroutine.status': 'co: any -> "suspended"|"running"|"normal"|"dead"',
  'coroutine.wrap': 'f: function -> function',
  'io.close': 'file?: any -> boolean or nil, string, integer',
  'io.lines': 'filename?: string, ... -> function',
  'io.open': `filename: string, mode?: string -> io.file or ${FAILED}`,
  'io.popen': `prog: string, mode?: string -> io.file or ${FAILED}`,
  'io.tmpfile': `-> io.file or ${FAILED}`,
  'io.type': 'obj: any -> "file"|"closed file"|nil',
  'io.file:close': '-> true or nil, string, integer',
  'io.file:flush': `-> io.file or ${FAILED}`,
  'io.file:lines': '... -> function',
  'io.file:read': '... -> any',
  'io.file:seek': `whence?: string, offset?: number -> number or ${FAILED}`,
  'io.file:setvbuf': 'mode: string, size?: integer -> any',
  'io.file:write': `... -> io.file or ${FAILED}`,
  'math.abs': 'x: number -> number',
  'math.ceil': 'x: number -> number',
  'math.floor': 'x: number -> number',
  'math.fmod': 'x: number, y: number -> number',
  'math.log': 'x: number, base?: number -> number',
  'math.max': 'x: number, ... -> number',
  'math.min': 'x: number, ... -> number',
  'math.random': 'm?: number, n?: number -> number',
  'math.sqrt': 'x: number -> number',
  'math.tointeger': 'x: any -> integer|nil',
  'math.type': 'x: any -> "integer"|"float"|nil',
  'os.clock': '-> number',
  'os.date': 'format?: string, time?: number -> any',
  'os.difftime': 't2: number, t1?: number -> number',
  'os.getenv': 'varname: string -> string|nil',
  'os.remove': `filename: string -> true or ${FAILED}`,
  'os.rename': `oldname: string, newname: string -> true or ${FAILED}`,
  'os.time': 'table?: table -> number',
  'os.tmpname': '-> string',
  'string.byte': 's: string, i?: integer, j?: integer -> integer, ...',
  'string.char': '... -> string',
  'string.find': 's: string, pattern: string, init?: integer, plain?: any -> integer, integer or nil, nil',
  'string.format': 'formatstring: string, ... -> string',
  'string.gmatch': 's: string, pattern: string -> function',
  'string.gsub': 's: string, pattern: string, repl: string|table|function, n?: integer -> string, integer',
  'string.len': 's: string -> integer',
  'string.lower': 's: string -> string',
  'string.match': 's: string, pattern: string, init?: integer -> any',
  'string.rep': 's: string, n: integer, sep?: string -> string',
  'string.reverse': 's: string -> string',
  'string.sub': 's: string, i: integer, j?: integer -> string',
  'string.upper': 's: string -> string',
  'table.concat': 'list: table, sep?: string, i?: integer, j?: integer -> string',
  'table.insert': 'list: table, pos: any, value?: any -> ',
  'table.move': 'a1: table, f: integer, e: integer, t: integer, a2?: table -> table',
  'table.pack': '... -> table',
  'table.remove': 'list: table, pos?: integer -> any',
  'table.sort': 'list: table, comp?: function -> ',
  'table.unpack': 'list: table, i?: integer, j?: integer -> any',
  'utf8.char': '... -> string',
  'utf8.len': 's: string, i?: integer, j?: integer -> integer or nil, integer',
};

/** By full name; methods are `class:method`. */
export const LUA_FUNCTIONS: ReadonlyMap<string, LuaFunction> = new Map(
  Object.entries(SIGNATURES).map(([name, text]) => [name, parseSignature(text)]),
);

/** Calls of these with the same arguments give the same results, as long as nothing is assigned in between. */
export function isLookUp(name: string): boolean {
  return /^(string|math|utf8)\./.test(name) || ['tonumber', 'tostring', 'type', 'os.getenv'].includes(name);
}

function parseSignature(text: string): LuaFunction {
  const [before = '', after = ''] = text.split('->');
  return {
    params: listOf(before).map(parseParameter),
    forms: after.split(' or ').map(listOf),
  };
}

function parseParameter(text: string): Parameter {
  if (text === '...') return { name: '...', type: 'any', doc: '' };
  const [name = '', type = 'any'] = text.split(': ');
  return { name: name.replace('?', ''), type, optional: name.endsWith('?'), doc: '' };
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
