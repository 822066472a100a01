/**
 * `npm run package:deb`: a Debian package of the program, with its modules as package-lock.json has them and a Node.js of
 * its own, built by Debian's own tools (dpkg-buildpackage, debhelper) and looked at by lintian.
 *
 *     npm run package:deb                        build/smtpf-milter_VERSION_ARCHITECTURE.deb
 *     npm run package:deb -- --system-node       without a Node.js: depends on Debian 13's nodejs
 *     npm run package:deb -- --out DIR           elsewhere
 *     npm run package:deb -- --version 0.1.0+1   another version of the package
 *
 * DEBFULLNAME and DEBEMAIL name who answers for the package, SOURCE_DATE_EPOCH its date (else that of the last commit).
 * Needs debhelper and lintian: apt-get install --no-install-recommends debhelper lintian.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fetchNodes, nodeBinary } from '../other-nodes.mjs';
import { buildIfNeeded, installIfNeeded, ROOT } from '../prepare.mjs';

/** The newest of package.json's tested versions, of a line with long-term support. */
const LINE = '24.';
/** Tags of lintian about an upload to Debian. */
const NOT_OURS = ['initial-upload-closes-no-bugs', 'bogus-mail-host'].join(',');
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

const own = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const { values } = parseArgs({
  options: {
    'system-node': { type: 'boolean', default: false },
    out: { type: 'string', default: join(ROOT, 'build') },
    version: { type: 'string', default: own.version },
  },
});
const architecture = ARCHITECTURES[process.arch];
if (process.platform !== 'linux' || architecture === undefined)
  fail(`a package for ${process.platform}-${process.arch} cannot be built: on Linux, x64 or arm64, it can`);
for (const [program, from] of Object.entries({
  'dpkg-buildpackage': 'dpkg-dev',
  dh: 'debhelper',
  lintian: 'lintian',
}))
  if (spawnSync('which', [program]).status !== 0)
    fail(`there is no ${program}: apt-get install --no-install-recommends ${from}`);
installIfNeeded();
buildIfNeeded();

const node = own.testedNode.find((version) => version.startsWith(LINE));
if (!values['system-node']) {
  const problem = fetchNodes([node]);
  if (problem !== undefined) fail(problem);
}
const time = Number(process.env.SOURCE_DATE_EPOCH ?? committed(ROOT)) * 1000;
const work = mkdtempSync(join(tmpdir(), 'smtpf-milter-deb-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
const source = join(work, 'source');
const at = (...names) => join(source, ...names);
const packaging = (name) => join(ROOT, 'packaging', name);

// The program.
mkdirSync(at('program'), { recursive: true });
for (const name of ['package.json', 'package-lock.json', 'dist', 'policies'])
  copy(join(ROOT, name), at('program', name));
npm(at('program'), ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--silent']);
const abi = values['system-node'] ? undefined : String(versionsOf(nodeBinary(node)).modules);
for (const file of readdirSync(at('program', 'node_modules'), { recursive: true, encoding: 'utf8' })) {
  // Of libraries that are there for several C libraries and versions of Node.js, those that can be loaded.
  const [, otherAbi] = /\.abi(\d+)\.[a-z]+\.node$/.exec(file) ?? [];
  const isOther =
    /musl\.node$/.test(file) || (otherAbi !== undefined && abi !== undefined && otherAbi !== abi);
  // And what only who develops a module has a use for.
  const isLeftOver = /(^|\/)\.[^/]+$|~$/.test(file);
  if (isOther || isLeftOver) rmSync(at('program', 'node_modules', file), { recursive: true, force: true });
}
if (!values['system-node']) {
  copyFileSync(nodeBinary(node), at('program', 'node'));
  chmodSync(at('program', 'node'), 0o755);
  copyFileSync(join(nodeBinary(node), '..', '..', 'LICENSE'), at('program', 'LICENSE.node'));
}
mkdirSync(at('bin'));
const interpreter = values['system-node'] ? '/usr/bin/node' : '/usr/lib/smtpf-milter/node';
writeFileSync(
  at('bin', 'smtpf-milter'),
  `#!/bin/sh\nexec ${interpreter} /usr/lib/smtpf-milter/dist/main.js "$@"\n`,
  { mode: 0o755 },
);

// What belongs to it.
const date = new Date(time).toISOString().slice(0, 10);
run(process.execPath, ['scripts/tsx.mjs', 'scripts/package/files.ts', at('files'), date], ROOT);
mkdirSync(at('conf'));
for (const name of ['config.json', 'smtpf.lua']) copyFileSync(packaging(name), at('conf', name));
for (const name of ['README.md', 'SECURITY.md', 'docs', 'examples']) copy(join(ROOT, name), at('doc', name));

// debian/
copy(packaging('debian'), at('debian'));
const fill = (name, texts, to = name) => {
  let text = readFileSync(packaging(`debian/${name}`), 'utf8');
  for (const [mark, value] of Object.entries(texts)) text = text.replaceAll(`@${mark}@`, value);
  writeFileSync(at('debian', to), text);
};
fill(
  'control.in',
  {
    ARCHITECTURE: architecture,
    MAINTAINER: maintainer(),
    NODE: values['system-node'] ? 'nodejs (>= 20.19), ' : '',
    NODE_TEXT: values['system-node']
      ? 'It runs on the Node.js of Debian.'
      : `It brings the Node.js that it runs on (${node}).`,
  },
  'control',
);
rmSync(at('debian', 'control.in'));
const license = readFileSync(join(ROOT, 'LICENSE'), 'utf8').split('\n\n').slice(2).join('\n\n').trimEnd();
fill('copyright', {
  LICENSE: license
    .split('\n')
    .map((line) => ` ${line || '.'}`)
    .join('\n'),
});
writeFileSync(
  at('debian', 'changelog'),
  `smtpf-milter (${values.version}) unstable; urgency=medium\n\n  * Version ${values.version}: /usr/share/doc/smtpf-milter/changelog.gz says what is new.\n\n -- ${maintainer()}  ${new Date(time).toUTCString().replace('GMT', '+0000')}\n`,
);
copyFileSync(join(ROOT, 'CHANGELOG.md'), at('CHANGELOG.md'));
mkdirSync(at('debian', 'source'));
writeFileSync(at('debian', 'source', 'format'), '3.0 (native)\n');
mkdirSync(at('files', 'bash'));
copyFileSync(at('files', 'smtpf-milter.bash'), at('files', 'bash', 'smtpf-milter'));

process.env.SOURCE_DATE_EPOCH = String(time / 1000);
run('dpkg-buildpackage', ['--build=binary', '--no-sign', '--no-pre-clean'], source);
const built = readdirSync(work).find((name) => name.endsWith('.deb'));
const out = resolve(values.out);
mkdirSync(out, { recursive: true });
copyFileSync(join(work, built), join(out, built));
run(
  'lintian',
  ['--fail-on', 'error', '--profile', 'debian', '--suppress-tags', NOT_OURS, join(out, built)],
  work,
);
console.log(join(out, built));

/** As dch(1) takes it; `.invalid` is nobody's. */
function maintainer() {
  const {
    DEBFULLNAME: name = 'The smtpf-milter authors',
    DEBEMAIL: address = 'smtpf-milter@packages.invalid',
  } = process.env;
  return `${name} <${address}>`;
}

function committed(root) {
  const { stdout, status } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : Math.floor(Date.now() / 1000);
}

function versionsOf(binary) {
  const { stdout } = spawnSync(binary, ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8' });
  return JSON.parse(stdout);
}

function copy(from, to) {
  cpSync(from, to, { recursive: true });
}

function npm(folder, args) {
  const program = process.env.npm_execpath;
  const [command, ...before] = program?.endsWith('.js') ? [process.execPath, program] : ['npm'];
  run(command, [...before, ...args], folder);
}

function run(command, args, cwd) {
  // Standard output has the path of the package alone.
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] });
  if (status !== 0)
    fail(`${command} ${args.slice(0, 2).join(' ')}: ${error?.message ?? `ended with status ${status}`}`);
}

function fail(message) {
  console.error(`package:deb: ${message}`);
  process.exit(1);
}
