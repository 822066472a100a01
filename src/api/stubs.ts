/**
 * The API as annotations for editors: a Lua file with LuaLS's (and EmmyLua's) comments, which is never run.
 *
 * Callbacks are fields with a function type: a script's own `function smtp.do_rcpt(recipient, params)` gets its
 * parameter types from there, and is no second definition. Plain annotations only, which both servers know.
 */

import type { ApiClass, ApiFunction, Callback, Chapter, Constant, Field } from '../modules/entry.ts';
import { API } from './definition.ts';
import { API_NAMES, TRANSACTION_ALIAS } from './names.ts';

const HEAD = `---@meta

-- The Lua API of smtpf-milter for editors: written by \`smtpf-milter stubs\`, not to be run.

---The first result of a callback: nothing, nil, 0 or 2yz to go on; 4yz or 5yz to refuse; or a constant of smtp.code.
---@alias smtp.reply_code integer|string
---The second: the text of a refusal, which may begin with an enhanced status code ("5.7.1 no"); lines as a table or with \\n.
---@alias smtp.reply_text string|string[]
---The third: an enhanced status code, "5.7.1", where the text has none.
---@alias smtp.enhanced_code string
`;

const RESULTS = 'smtp.reply_code?, smtp.reply_text?, smtp.enhanced_code?';

/** The whole file: Lua that compiles, in UTF-8. */
export function formatStubs(): string {
  const parts = [HEAD];
  for (const entry of API_NAMES.classes.values()) parts.push(formatClass(entry));
  for (const table of [...API_NAMES.tables.keys()].sort(deepestFirst)) parts.push(formatTable(table));
  for (const chapter of API) parts.push(...formatFunctions(chapter));
  return parts.join('\n');
}

/** What a table refers to stands before it. */
function deepestFirst(one: string, other: string): number {
  return other.split('.').length - one.split('.').length;
}

function formatTable(table: string): string {
  const members = [...(API_NAMES.tables.get(table) ?? [])].map((name) => `${table}.${name}`);
  const lines = [`---@class ${table}`];
  for (const member of members) {
    const line = formatMember(member);
    if (line !== undefined) lines.push(line);
  }
  return `${lines.join('\n')}\n${table.includes('.') ? '' : `${table} = {}\n`}`;
}

/** Functions are declared as such below. */
function formatMember(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('.') + 1);
  const callback = API_NAMES.callbacks.get(path);
  if (callback !== undefined) return formatCallback(name, callback);
  const constant = API_NAMES.constants.get(path);
  if (constant !== undefined) return formatConstant(name, constant);
  const field = API_NAMES.fields.get(path);
  if (field !== undefined) return formatField(name, field);
  if (path === TRANSACTION_ALIAS) return '---@field trans smtp.tran The same table as smtp.tran';
  return API_NAMES.tables.has(path) ? `---@field ${name} ${path}` : undefined;
}

function formatCallback(name: string, { params, answers, doc }: Callback): string {
  const list = params.map((param) => `${param.name}: ${param.type}`).join(', ');
  return `---@field ${name}? fun(${list})${answers ? `: ${RESULTS}` : ''} ${oneLine(doc)}`;
}

function formatConstant(name: string, { value, doc }: Constant): string {
  return `---@field ${name} integer ${value}${doc === undefined ? '' : `: ${oneLine(doc)}`}`;
}

function formatField(name: string, { type, doc }: Pick<Field, 'type' | 'doc'>): string {
  return `---@field ${name} ${type} ${oneLine(doc)}`;
}

function formatClass({ name, fields, doc }: ApiClass): string {
  const lines = [`---${oneLine(doc)}`, `---@class ${name}`];
  for (const field of fields) lines.push(formatField(field.name, field));
  const methods = [...API_NAMES.functions.values()].filter((entry) => entry.name.startsWith(`${name}:`));
  if (methods.length === 0) return `${lines.join('\n')}\n`;
  const local = name.replaceAll('.', '_');
  lines.push(`local ${local} = {}`);
  for (const method of methods) {
    lines.push('', formatFunction({ ...method, name: method.name.replace(name, local) }));
  }
  return `${lines.join('\n')}`;
}

function formatFunctions({ entries }: Chapter): string[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'function' || entry.name.includes(':')) return [];
    return [
      formatFunction(entry),
      ...(entry.aliases ?? []).map((alias) => formatFunction({ ...entry, name: alias })),
    ];
  });
}

function formatFunction({ name, params, results, doc, overloads, waits, example }: ApiFunction): string {
  const lines = [`---${oneLine(doc)}${waits ? ' It waits.' : ''}`];
  if (example !== undefined)
    lines.push('---```lua', ...example.split('\n').map((line) => `---${line}`), '---```');
  for (const param of params) {
    const mark = param.optional === true ? '?' : '';
    lines.push(`---@param ${param.name}${mark} ${param.type} ${oneLine(param.doc)}`);
  }
  for (const result of results) {
    const label = result.name === undefined ? '' : ` ${result.name}`;
    lines.push(`---@return ${result.type}${label} # ${oneLine(result.doc)}`);
  }
  for (const overload of overloads ?? []) lines.push(`---@overload ${overload}`);
  lines.push(`function ${name}(${params.map((param) => param.name).join(', ')}) end`);
  return `${lines.join('\n')}\n`;
}

function oneLine(text: string): string {
  return text.replaceAll('\n', ' ');
}
