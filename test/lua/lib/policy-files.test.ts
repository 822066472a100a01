/** Which files a policy can open, read as Lua, remove and rename, by whatever path. */
import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, test } from 'node:test';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { libraries } from '../../../src/lua/lib/libraries.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { startServer } from '../../helpers/milter-server.ts';
import { Mta } from '../../helpers/mta.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'smtpf-milter-files-')));
const spool = join(folder, 'spool');
const journal = join(folder, 'journal');
const template = new Template(libraries);
after(() => rmSync(folder, { recursive: true, force: true }));

mkdirSync(spool);
mkdirSync(join(folder, 'plain'));
writeFileSync(join(spool, 'other.eml'), 'secret');
writeFileSync(join(spool, 'own.eml'), 'mine');
writeFileSync(join(spool, 'module.lua'), 'return "secret"');
writeFileSync(journal, 'secret');
writeFileSync(join(folder, 'journal-notes'), 'notes');
symlinkSync(spool, join(folder, 'way-in'));
symlinkSync(join(spool, 'other.eml'), join(folder, 'link'));
symlinkSync(join(spool, 'new.eml'), join(folder, 'dangling'));
symlinkSync('/proc/self/mem', join(folder, 'memory'));
symlinkSync('/proc', join(folder, 'processes'));
linkSync(join(folder, 'journal-notes'), join(folder, 'plain', 'linked'));

/** What the script prints. */
async function printed(source: string): Promise<string> {
  const lines: string[] = [];
  const context = new LuaContext({
    template,
    script: compile(Buffer.from(source), 'files'),
    closedPlaces: [spool, journal],
    print: (line) => lines.push(Buffer.from(line).toString('latin1')),
  });
  context.ownFile = join(folder, 'way-in', 'own.eml');
  const outcome = await context.run();
  context.dispose();
  assert.equal(outcome.kind, 'done', JSON.stringify(outcome));
  return lines.join('\n');
}

const quoted = (text: string): string => JSON.stringify(text);

describe('no policy opens', () => {
  const unnamed = join(folder, 'unnamed');
  const descriptor = openSync(unnamed, 'w+');
  unlinkSync(unnamed);
  const closed: Record<string, [name: string, why: string]> = {
    'the memory of the process': ['/proc/self/mem', 'procfs'],
    'the memory by a link': [join(folder, 'memory'), 'procfs'],
    'the memory by a linked directory': [join(folder, 'processes', 'self', 'mem'), 'procfs'],
    'the environment': [`/proc/${process.pid}/environ`, 'procfs'],
    'the environment by a detour': ['/usr/../proc/./self/environ', 'procfs'],
    'a file of sysfs': ['/sys/kernel/uevent_seqnum', 'sysfs'],
    'a file without a name by its descriptor': [`/dev/fd/${descriptor}`, 'a file without a name'],
    'a file without a name by procfs': [`/proc/self/fd/${descriptor}`, 'a file without a name'],
    'the message of another session': [join(spool, 'other.eml'), 'this program keeps its files there'],
    'that by a link': [join(folder, 'link'), 'this program keeps its files there'],
    'that by a linked directory': [join(folder, 'way-in', 'other.eml'), 'this program keeps its files there'],
    'that by a detour': [
      join(folder, 'plain', '..', 'spool', 'other.eml'),
      'this program keeps its files there',
    ],
    'the journal': [journal, 'this program keeps its files there'],
  };
  for (const [what, [name, why]] of Object.entries(closed)) {
    for (const mode of ['r', 'r+b', 'a', 'w']) {
      it(`${what}, mode ${mode}`, async () => {
        const text = await printed(`print(io.open(${quoted(name)}, ${quoted(mode)}))`);
        // Who may not even look there is told so by the system.
        if (text.includes('Permission denied\t13')) return;
        assert.equal(text, `nil\t${name}: Permission denied (${why})\t13`);
      });
    }
  }

  it('what is there without harm: nothing was cut off or made', () => {
    assert.equal(readFileSync(join(spool, 'other.eml'), 'latin1'), 'secret');
    assert.equal(readFileSync(journal, 'latin1'), 'secret');
    assert.deepEqual(readdirSync(spool).sort(), ['module.lua', 'other.eml', 'own.eml']);
  });

  it('a new file in the places that the program keeps', async () => {
    for (const name of [join(spool, 'new.eml'), join(folder, 'way-in', 'new.eml')]) {
      assert.match(await printed(`print(io.open(${quoted(name)}, "w"))`), /keeps its files there/);
    }
    // A link that leads to nothing is not followed.
    assert.match(await printed(`print(io.open(${quoted(join(folder, 'dangling'))}, "w"))`), /No such file/);
    assert.deepEqual(readdirSync(spool).sort(), ['module.lua', 'other.eml', 'own.eml']);
  });

  it('a device, but for those without effect', async () => {
    const script = `for _, name in ipairs { "null", "zero", "full", "random", "urandom" } do
        local f = assert(io.open("/dev/" .. name, "rb"))
        f:close()
      end
      assert(io.open("/dev/null", "w")):close()
      print(io.open("/dev/ptmx"))`;
    assert.match(await printed(script), /^nil\t.*Permission denied \(a device\)\t13$/);
  });

  it('by io.lines, io.input, io.output, dofile, loadfile or require either', async () => {
    const file = quoted(join(spool, 'module.lua'));
    for (const call of [
      `io.lines(${file})`,
      `io.input(${file})`,
      `io.output(${file})`,
      `dofile(${file})`,
      `assert(loadfile(${file}))`,
      `(function() package.path = ${quoted(join(spool, '?.lua'))} return require("module") end)()`,
      'dofile("/proc/self/environ")',
    ]) {
      const text = await printed(`print(pcall(function() return ${call} end))`);
      assert.match(text, /^false\t.*Permission denied \(/s, call);
    }
  });

  it('nor removes or renames what the program keeps', async () => {
    for (const call of [
      `os.remove(${quoted(join(spool, 'other.eml'))})`,
      `os.remove(${quoted(join(folder, 'way-in', 'other.eml'))})`,
      `os.rename(${quoted(join(spool, 'other.eml'))}, ${quoted(join(folder, 'mine'))})`,
      `os.rename(${quoted(join(folder, 'journal-notes'))}, ${quoted(join(spool, 'planted'))})`,
      `os.rename(${quoted(spool)}, ${quoted(join(folder, 'elsewhere'))})`,
      `os.rename(${quoted(folder)}, ${quoted(`${folder}-elsewhere`)})`,
      `os.remove(${quoted(journal)})`,
    ]) {
      assert.match(await printed(`print(${call})`), /^nil\t.*Permission denied \(.*\t13$/, call);
    }
    assert.ok(existsSync(join(spool, 'other.eml')) && existsSync(journal));
  });
});

test('a policy opens, makes, removes and renames other files as ever', async () => {
  const name = join(folder, 'plain', 'new');
  const text = await printed(`
    local name = ${quoted(name)}
    local f = assert(io.open(name, "w")) f:write("one\\n") f:close()
    f = assert(io.open(name, "a")) f:write("two\\n") f:close()
    f = assert(io.open(name, "r+")) print(f:read("a")) f:close()
    f = assert(io.open(name, "w+")) print(f:read("a")) f:close()
    print(os.rename(name, name .. "er"), os.remove(name .. "er"), io.open(name))
    print(assert(io.open(${quoted(join(folder, 'plain', 'linked'))})):read("a"))
    print(io.tmpfile() ~= nil, os.remove(os.tmpname()))
    print(assert(io.open(${quoted(join(spool, 'own.eml'))})):read("a"))`);
  assert.equal(
    text,
    [
      'one',
      'two',
      '',
      '',
      `true\ttrue\tnil\t${name}: No such file or directory\t2`,
      'notes',
      'true\ttrue',
      'mine',
    ].join('\n'),
  );
});

test('a message file is open to its own session alone', async (t) => {
  const server = await startServer({
    source: `function smtp.do_dot(path)
        local own = assert(io.open(path)):read("a")
        local folder = path:match("^(.*)/")
        local f, why = io.open(folder .. "/smtpf-1-1-1.eml")
        syslog.info("read " .. #own .. " " .. tostring(why))
        assert(os.remove(path))
      end`,
  });
  t.after(() => server.close());
  writeFileSync(join(server.directory, 'spool', 'smtpf-1-1-1.eml'), 'of another');
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  assert.equal((await mta.content([['A', ' b']], 'hello')).letter, 'c');
  await mta.quit();
  const [line] = await server.log.until(/read \d/);
  assert.match(
    line ?? '',
    /read \d+ .*\/smtpf-1-1-1\.eml: Permission denied \(this program keeps its files there\)/,
  );
});

test('os.getenv knows variables, and nothing of JavaScript', async () => {
  const names = ['toString', '__proto__', 'constructor', 'hasOwnProperty', 'valueOf'];
  const script = `for _, name in ipairs { ${names.map(quoted).join(', ')} } do print(os.getenv(name)) end`;
  assert.equal(await printed(script), names.map(() => 'nil').join('\n'));
  assert.equal(await printed('print(os.getenv("PATH"))'), process.env.PATH);
});
