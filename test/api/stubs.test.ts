/** The annotations for editors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_NAMES } from '../../src/api/names.ts';
import { formatStubs } from '../../src/api/stubs.ts';
import { parseLua } from '../../src/lint/syntax.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { run } from '../program/program.ts';

const STUBS = formatStubs();
const LINES = STUBS.split('\n');

test('the file compiles as Lua and is marked as one that is not run', () => {
  compile(Buffer.from(STUBS), 'smtpf.d.lua');
  assert.ok(parseLua(Buffer.from(STUBS).toString('latin1')));
  assert.equal(LINES[0], '---@meta');
});

test('every function, under every name, is declared with its parameters', () => {
  for (const [name, { params }] of API_NAMES.functions) {
    const method = name.includes(':');
    const declared = method
      ? `${(name.split(':')[0] ?? '').replaceAll('.', '_')}:${name.split(':')[1]}`
      : name;
    const line = `function ${declared}(${params.map((param) => param.name).join(', ')}) end`;
    const at = LINES.indexOf(line);
    assert.ok(at > 0, line);
    const comments: string[] = [];
    for (let i = at - 1; LINES[i]?.startsWith('---'); i--) comments.push(LINES[i] ?? '');
    const order = comments.reverse().flatMap((text) => /^---@param (\S+?)\??(?: |$)/.exec(text)?.[1] ?? []);
    assert.deepEqual(
      order,
      params.map((param) => param.name),
      name,
    );
  }
});

test('every callback is a field with a function type, every constant and field has a type', () => {
  for (const [name, { params, answers }] of API_NAMES.callbacks) {
    const list = params.map((param) => `${param.name}: ${param.type}`).join(', ');
    const results = answers ? ': smtp.reply_code?, smtp.reply_text?, smtp.enhanced_code?' : '';
    const start = `---@field ${name.replace('smtp.', '')}? fun(${list})${results} `;
    assert.ok(
      LINES.some((line) => line.startsWith(start)),
      start,
    );
  }
  for (const { name, type } of API_NAMES.fields.values()) {
    const start = `---@field ${name.slice(name.lastIndexOf('.') + 1)} ${type} `;
    assert.ok(
      LINES.some((line) => line.startsWith(start)),
      start,
    );
  }
  for (const { name, value } of API_NAMES.constants.values()) {
    const line = new RegExp(`^---@field ${name.slice(name.lastIndexOf('.') + 1)} integer ${value}(:|$)`, 'm');
    assert.match(STUBS, line);
  }
});

test('every class is declared once, and every type that is used is declared', () => {
  const declared = [...STUBS.matchAll(/^---@(?:class|alias) (\S+)/gm)].map(([, name = '']) => name);
  assert.equal(new Set(declared).size, declared.length);
  const used = [...STUBS.matchAll(/\b(?:smtp|dns|header|test)\.[a-z_]+(?=\[\]|\?|\||\)|,| |$)/gm)].filter(
    ({ index }) =>
      /@(?:field|param|return|alias)[^#]*$/.test(STUBS.slice(STUBS.lastIndexOf('\n', index), index)),
  );
  assert.ok(used.length > 50);
  const known = new Set([...declared, ...API_NAMES.functions.keys(), ...API_NAMES.callbacks.keys()]);
  const fields = new Set([
    ...API_NAMES.fields.keys(),
    ...API_NAMES.constants.keys(),
    ...API_NAMES.tables.keys(),
  ]);
  for (const [name] of used) assert.ok(known.has(name) || fields.has(name) || name === 'smtp.code', name);
});

test('smtpf-milter stubs prints the file', async () => {
  const { code, stdout, stderr } = await run(['stubs']);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.equal(stdout, STUBS);
});
