/** Lua asks its host for time, environment and places of files, and tells it of the Lua files that it loads. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Surroundings, SYSTEM } from '../../src/lua/engine/surroundings.ts';
import { contextOf, evaluate } from '../helpers/lua-context.ts';

async function evaluated(
  expression: string,
  surroundings: Partial<Surroundings>,
  cpuMs = 1000,
): Promise<string> {
  const context = contextOf(
    `return ${expression}`,
    { cpuMs },
    { surroundings: { ...SYSTEM, ...surroundings } },
  );
  const outcome = await evaluate(context);
  context.dispose();
  return outcome.kind === 'done' ? outcome.value : 'message' in outcome ? outcome.message : outcome.kind;
}

test('os.time and os.date ask for the time, os.getenv for variables', async () => {
  const now = () => 86_400_999;
  assert.equal(await evaluated('os.time()', { now }), '86400');
  assert.equal(await evaluated('os.date("!%H:%M:%S %j")', { now }), '00:00:00 002');
  assert.equal(
    await evaluated('os.time { year = 1970, month = 1, day = 3, hour = 0 } // 86400', { now }),
    '2',
  );
  const env = (name: string) => (name === '\xfc' ? 'latin1 \xff' : undefined);
  assert.equal(await evaluated('os.getenv("\\xfc")', { env }), 'latin1 \xff');
  assert.equal(await evaluated('tostring(os.getenv("HOME"))', { env }), 'nil');
});

test('the variables of the system are bytes', async (t) => {
  Object.assign(process.env, { SMTPF_TEST_Ü: 'grün' });
  t.after(() => Reflect.deleteProperty(process.env, 'SMTPF_TEST_Ü'));
  assert.equal(
    await evaluated('os.getenv("SMTPF_TEST_\\xc3\\x9c")', {}),
    Buffer.from('grün').toString('latin1'),
  );
  assert.equal(await evaluated('tostring(os.getenv("toString"))', {}), 'nil');
});

test('every function that is given the name of a file asks where it is', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-places-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const locate = (path: Buffer) => Buffer.from(join(directory, path.toString().replaceAll('/', '_')));
  const loaded: string[] = [];
  const surroundings = { locate, loaded: (_: unknown, path: string) => void loaded.push(path) };
  const expect = async (expression: string, value: string): Promise<void> =>
    assert.equal(await evaluated(expression, surroundings), value, expression);
  await expect('io.open("/a", "w"):write("return 1"):close()', 'true');
  await expect('io.open("/a"):read("a")', 'return 1');
  await expect('io.lines("/a")()', 'return 1');
  await expect('io.input("/a"):read("a")', 'return 1');
  await expect('io.output("/b"):write("x"):close()', 'true');
  await expect('os.rename("/b", "/c")', 'true');
  assert.deepEqual(readdirSync(directory).sort(), ['_a', '_c']);
  await expect('os.remove("/c")', 'true');
  await expect('dofile("/a")', '1');
  await expect('loadfile("/a")()', '1');
  writeFileSync(join(directory, '_m_x.lua'), 'return ...');
  await expect('(function() package.path = "/m/?.lua" return (require "x") end)()', 'x');
  assert.deepEqual(loaded, ['/a', '/a', '/m/x.lua']);
  await expect('select(2, io.open("/none"))', '/none: No such file or directory 2');
  await expect('select(2, os.remove("/none"))', '/none: No such file or directory 2');
  assert.match(
    await evaluated('dofile("/none")', surroundings),
    /^cannot open \/none: No such file or directory$/,
  );
});

test('what is prepared for a file that is loaded is not the work of the script', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-loaded-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'x.lua'), 'return 1');
  const loaded = (): void => {
    for (const end = performance.now() + 400; performance.now() < end; );
  };
  const file = JSON.stringify(join(directory, 'x.lua'));
  assert.equal(await evaluated(`dofile(${file})`, { loaded }, 300), '1');
  const busy = `(function() local n = dofile(${file}) while true do n = n + 1 end end)()`;
  assert.match(await evaluated(busy, { loaded }, 300), /more than 300 ms of CPU time used/);
});

test('held files count in the place of those that are there, and null for none', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'held-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'there.lua'), 'return "of the disk"');
  writeFileSync(join(folder, 'gone.lua'), 'return "of the disk"');
  writeFileSync(join(folder, 'free.lua'), 'return "of the disk"');
  let text = 'return "held"';
  const held = (path: string) => {
    if (path === `${folder}/gone.lua`) return null;
    const isHeld = path === `${folder}/there.lua` || path === `${folder}/nowhere.lua`;
    return isHeld ? { version: '1', bytes: Buffer.from(text) } : undefined;
  };
  const required = (name: string) =>
    evaluated(`(function() package.path = "${folder}/?.lua" return require "${name}" end)()`, { held });
  assert.equal(await required('there'), 'held');
  assert.equal(await required('nowhere'), 'held');
  assert.equal(await required('free'), 'of the disk');
  assert.match(await required('gone'), /module 'gone' not found/);
  assert.equal(
    await evaluated(`tostring(select(2, loadfile "${folder}/gone.lua"))`, { held }),
    `cannot open ${folder}/gone.lua: No such file or directory`,
  );
  text = 'return "of the next release"';
  assert.equal(await evaluated(`dofile "${folder}/there.lua"`, { held }), 'of the next release');
});
