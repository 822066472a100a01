/** Files with secrets: read anew when they have changed, and never told of. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it, mock } from 'node:test';
import { type Made, SecretFile } from '../../src/system/secret-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-secret-'));
after(() => rmSync(directory, { recursive: true }));

function make(bytes: Buffer): Made<string> {
  const text = bytes.toString();
  return text.startsWith('ok') ? { content: text } : { wrong: 'is no such file' };
}

let clock = 0;
mock.method(performance, 'now', () => clock);

/** A file, what it gives after a second, and what was warned of. */
function file(name: string, given?: Buffer) {
  const path = join(directory, name);
  const warnings: string[] = [];
  const secret = new SecretFile(path, path, make, (text) => warnings.push(text), given);
  let writes = 0;
  const write = (text: string, mode = 0o600) => {
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    // Two versions of one size within a tick of the clock of the file system.
    writes += 1;
    utimesSync(path, 1_000_000 + writes, 1_000_000 + writes);
  };
  const later = () => {
    clock += 1500;
    return secret.get();
  };
  return { path, secret, warnings, write, later };
}

it('is read when it is asked for, and anew when it has changed', () => {
  const { secret, write, later, warnings } = file('plain');
  assert.deepEqual(secret.get(), { problem: 'no such file or directory', isWrong: false });
  write('ok 1');
  assert.deepEqual(later(), { content: 'ok 1' });
  write('ok 2');
  assert.deepEqual(secret.get(), { content: 'ok 1' }, 'it is looked at once a second');
  assert.deepEqual(later(), { content: 'ok 2' });
  assert.deepEqual(warnings, []);
});

it('keeps what it had when the file is wrong or gone, and says so once without a word of it', () => {
  const { path, write, later, warnings } = file('spoilt');
  write('ok 1');
  later();
  write('secret words');
  assert.deepEqual(later(), { content: 'ok 1' });
  later();
  assert.deepEqual(warnings, [`${path}: is no such file: what it held before goes on`]);
  rmSync(path);
  assert.deepEqual(later(), { content: 'ok 1' });
  later();
  assert.equal(warnings.length, 2);
  write('ok 2');
  assert.deepEqual(later(), { content: 'ok 2' });
  assert.equal(warnings.length, 2);
});

it('that was wrong from the beginning says what is wrong', () => {
  const { write, later } = file('wrong');
  write('secret words');
  assert.deepEqual(later(), { problem: 'is no such file', isWrong: true });
  write('x'.repeat(70_000));
  const found = later();
  assert.ok('problem' in found && /larger than 65536 bytes/.test(found.problem));
});

it('that is no file is not waited for', () => {
  const { path, later } = file('directory');
  mkdirSync(path);
  assert.deepEqual(later(), { problem: 'is a directory', isWrong: false });
});

it('that others can read is warned of once', () => {
  const { path, write, later, warnings } = file('open');
  write('ok', 0o604);
  later();
  write('ok again', 0o604);
  later();
  assert.deepEqual(warnings, [`${path}: others can read this secret: chmod o= ${path}`]);
});

it('that was read with more rights goes on where it cannot be read any more', (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can lose its rights');
  const { write, later, warnings } = file('given', Buffer.from('ok given'));
  write('ok root', 0o600);
  process.setegid?.(65_534);
  process.seteuid?.(65_534);
  try {
    assert.deepEqual(later(), { content: 'ok given' });
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
  assert.deepEqual(warnings, []);
  assert.deepEqual(later(), { content: 'ok root' });
});
