/** Which room of `src` may import which, and which file uses which package. House rules for people stand in CONTRIBUTING.md. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** The rooms that a room may import. */
const ROOMS: Readonly<Record<string, string>> = {
  asking: '',
  text: '',
  lua: '',
  milter: '',
  mime: '',
  system: 'text',
  dns: 'asking',
  'mail-auth': 'asking dns system',
  http: 'asking',
  scanners: 'asking http text',
  store: 'asking text system',
  maps: 'asking text system',
  geo: 'asking maps',
  'mail-client': 'asking dns store text',
  syslog: 'text',
  metrics: '',
  events: 'syslog text',
  spool: 'text system',
  message: 'lua milter',
  net: 'milter syslog text system',
  services: 'events metrics geo http scanners mail-client asking dns mail-auth store maps syslog system',
  modules:
    'events metrics services geo http scanners mail-client asking message lua mail-auth milter mime dns store maps syslog text',
  api: 'modules',
  options: 'events net dns scanners mail-client store syslog milter text system',
  lint: 'api modules message options text',
  policy:
    'events metrics modules http services message lua milter dns store maps spool options syslog asking system text',
  workbench: 'events policy services message milter dns syslog asking',
  control: 'metrics policy net milter spool options store syslog text system',
  doctor: 'control policy net modules lua geo mail-auth mail-client options store system text',
  'policy-test': 'workbench policy modules services lua milter dns asking options syslog text system',
  trial: 'lint policy-test policy lua options syslog system text',
  'warm-up': 'control policy net milter spool options syslog',
  recording: 'policy services options lua milter asking store system text',
  replay:
    'recording workbench policy services store maps mail-auth message milter asking options syslog text system',
  shadow: 'recording replay control policy services options lua milter dns maps asking spool store syslog',
  supervisor:
    'trial shadow recording control events metrics policy services lua net milter store spool options syslog text system warm-up',
  commands:
    'events metrics api asking control dns doctor http scanners mail-client lint lua mail-auth maps message milter modules net options policy policy-test recording replay services shadow spool store supervisor syslog system text workbench',
  // The program's start, before it is known that this Node.js can read the rest.
  'main.ts': 'system commands',
};

/** The files, or the rooms, that may import a package; `types:` those that may name its types only. */
const PACKAGES: Readonly<Record<string, string>> = {
  bufferpack: 'milter/byte-reader.ts milter/byte-writer.ts',
  fengari:
    'lua/engine/engine.ts lua/engine/engine-numbers.ts types:lua types:message types:modules types:policy types:policy-test',
  'fengari-interop': 'lua/lib/javascript.ts',
  'syslog-client': 'syslog/client.ts',
  'node-unix-socket': 'syslog/unix-carrier.ts system/service-manager.ts',
  yargs: 'commands/command-line.ts',
  'iconv-lite': 'message/charset.ts',
  ldapts: 'maps/ldap.ts',
  pg: 'maps/sql.ts',
  mysql2: 'maps/sql.ts',
  re2js: 'maps/re2.ts',
  tldts: 'modules/net/domain.ts',
  mailauth: 'mail-auth/mailauth.ts',
  lmdb: 'store/lmdb-table.ts',
  'prom-client': 'metrics/exposition.ts',
  '@redis/client': 'store/redis-engine.ts',
  nodemailer: 'mail-client/submission.ts',
  'mmdb-lib': 'geo/database.ts',
  luaparse: 'lint/syntax.ts',
  diff: 'commands/try/try-diff.ts',
};

interface Import {
  readonly specifier: string;
  readonly isType: boolean;
}

/** Imports, re-exports, dynamic imports, and addresses of modules. */
const IMPORT =
  /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|(?:(?<![.\w])(?:import|require)|(?:require|meta)\.resolve)\(\s*'([^']+)'|new URL\(\s*'([^']+)',\s*import\.meta/gm;

function importsOf(text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(([, type, named, called, address]) => ({
    specifier: named ?? called ?? address ?? '',
    isType: type !== undefined,
  }));
}

const isTest = (file: string) => file.endsWith('.test.ts');
const roomOf = (file: string) => file.split('/')[0] ?? '';

/** @param files text by path below `src` */
function faults(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  const between = new Map<string, string>();
  for (const [file, text] of files) {
    const room = roomOf(file);
    const allowed = ROOMS[room];
    if (allowed === undefined) found.push(`${file}: no room of the table`);
    for (const { specifier, isType } of importsOf(text)) {
      if (!specifier.startsWith('.')) {
        found.push(...packageFault(file, specifier, isType));
        continue;
      }
      const there = normalize(join(dirname(file), specifier));
      const other = roomOf(there);
      if (other === '..' || other === '.') continue;
      const [from, to] = [dirname(file), dirname(there)];
      // A folder and one inside it belong together.
      if (!`${from}/`.startsWith(`${to}/`) && !`${to}/`.startsWith(`${from}/`))
        between.set(`${from} ${to}`, file);
      if (other === room || allowed === undefined || allowed.split(' ').includes(other)) continue;
      found.push(`${file}: imports ${specifier}`);
    }
  }
  for (const [pair, file] of between) {
    const back = between.get(pair.split(' ').reverse().join(' '));
    if (back !== undefined) found.push(`${file} and ${back}: two folders that import each other`);
  }
  return found;
}

function packageFault(file: string, specifier: string, isType: boolean): string[] {
  if (isBuiltin(specifier)) return [];
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const places = PACKAGES[name]?.split(' ') ?? [];
  const may = (place: string) => file === place || (isType && place === `types:${roomOf(file)}`);
  return places.some(may) ? [] : [`${file}: imports the package ${specifier}`];
}

function sources(): Map<string, string> {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /\.[jt]s$/.test(name) && !name.endsWith('.d.ts'),
  );
  return new Map(files.map((name) => [name, readFileSync(join(SRC, name), 'utf8')]));
}

describe('the architecture', () => {
  const files = sources();

  it('has no import against the direction, and no package in a wrong place', () => {
    assert.ok(files.size > 200);
    assert.deepEqual(faults(files), []);
  });

  it('has main.ts alone in the root of src', () => {
    assert.deepEqual(
      readdirSync(SRC, { withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map(({ name }) => name),
      ['main.ts'],
    );
  });

  it('has a folder of tests for each room', () => {
    const missing = readdirSync(SRC, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .filter(({ name }) => {
        const folder = join(SRC, '../test', name);
        return (
          !existsSync(folder) || !readdirSync(folder, { recursive: true, encoding: 'utf8' }).some(isTest)
        );
      });
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    );
  });

  it('names only rooms that can be there, each after what it imports', () => {
    const before = new Set<string>();
    for (const [room, imports] of Object.entries(ROOMS)) {
      for (const other of imports.split(' ')) {
        const isLater = other !== '' && !before.has(other) && other !== 'commands';
        assert.ok(!isLater, `${room} stands before ${other}`);
      }
      before.add(room);
    }
  });
});

it('CONTRIBUTING.md lists all rooms, each below those that it imports', () => {
  const text = readFileSync(join(SRC, '..', 'CONTRIBUTING.md'), 'utf8');
  const listed = [...text.matchAll(/^- ((?:`[a-z-]+`(?:, )?)+): /gm)].flatMap(([, names = '']) =>
    names.replaceAll('`', '').split(', '),
  );
  const rooms = Object.keys(ROOMS).filter((name) => name !== 'main.ts');
  assert.deepEqual([...listed].sort(), [...rooms].sort());
  for (const room of rooms) {
    for (const other of ROOMS[room]?.split(' ').filter(Boolean) ?? [])
      assert.ok(listed.indexOf(other) < listed.indexOf(room), `${room} imports ${other}`);
  }
});

describe('the test of the architecture', () => {
  const withLine = (file: string, line: string) => {
    const files = sources();
    assert.ok(files.has(file), file);
    return faults(files.set(file, `${line}\n${files.get(file)}`));
  };

  const refused: Readonly<Record<string, [file: string, line: string, fault: RegExp]>> = {
    'the codec imports Lua': [
      'milter/reply.ts',
      "import { lua } from '../lua/engine/engine.ts';",
      /imports \.\.\/lua/,
    ],
    'Lua imports the codec': [
      'lua/engine/host.ts',
      "import type { Verdict } from '../../milter/policy.ts';",
      /imports/,
    ],
    'two rooms import each other': [
      'text/closest.ts',
      "import '../options/options.ts';",
      /import each other/,
    ],
    'two folders of a room import each other': [
      'lua/engine/host.ts',
      "import '../context/context.ts';",
      /two folders that import each other/,
    ],
    'a re-export': ['text/closest.ts', "export { x } from '../dns/dns.ts';", /imports \.\.\/dns/],
    'an import when it is needed': ['dns/dns.ts', "const x = await import('../syslog/log.ts');", /imports/],
    'the address of a module': ['dns/dns.ts', "new URL('../syslog/log.ts', import.meta.url);", /imports/],
    'an import over several lines': [
      'dns/dns.ts',
      "import {\n  type A,\n  B,\n} from '../net/server.ts';",
      /imports/,
    ],
    'a package in another file': [
      'dns/dns.ts',
      "import bufferpack from 'bufferpack';",
      /the package bufferpack/,
    ],
    'a part of a package': ['milter/reply.ts', "import 'fengari/src/lapi.js';", /the package fengari/],
    'a value where types are allowed': [
      'policy/interests.ts',
      "import { lua } from 'fengari';",
      /the package fengari/,
    ],
    'a package that nobody knows': [
      'dns/dns.ts',
      "import x from '@scope/left-pad/x.js';",
      /@scope\/left-pad/,
    ],
  };
  for (const [name, [file, line, fault]] of Object.entries(refused)) {
    it(`fails for ${name}`, () => assert.match(withLine(file, line).join('\n'), fault));
  }

  it('fails for a room that is not in the table', () => {
    assert.match(faults(sources().set('utils/x.ts', '')).join('\n'), /no room/);
  });

  it('lets Node.js itself and allowed rooms be imported', () => {
    assert.deepEqual(
      withLine('dns/dns.ts', "import { x } from 'node:dns';\nimport '../asking/answer.ts';"),
      [],
    );
  });
});
