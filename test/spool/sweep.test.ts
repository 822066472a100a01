/** What a crash has left in the spool directory: each process that serves removes it when it begins, and nothing else does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Spool } from '../../src/spool/message-file.ts';
import { processStart } from '../../src/system/process-start.ts';
import { directory, run, start } from '../program/program.ts';

/** The id of a process that has ended. */
function deadProcess(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

describe('Spool.sweep', () => {
  test('removes what processes have left that are gone, and says how many messages', (t) => {
    const spool = directory(t);
    const gone = deadProcess();
    const own = `smtpf-${process.pid}-${processStart(process.pid)?.ticks}-1.eml`;
    // The same process id, of a process that began another time.
    const reused = `smtpf-${process.pid}-1-7.eml`;
    const kept = [own, 'smtpf-notes.eml', 'mail.eml', `smtpf-${gone}-1-1.txt`];
    const left = [`smtpf-${gone}-1-1.eml`, `smtpf-${gone}-99-2.eml`, `smtpf-${gone}-1-3.sock`, reused];
    for (const name of [...kept, ...left]) writeFileSync(join(spool, name), 'x');
    assert.equal(new Spool(spool).sweep(), 3);
    assert.deepEqual(readdirSync(spool).sort(), [...kept].sort());
    assert.equal(new Spool(spool).sweep(), 0);
  });

  test('throws where the directory cannot be read', (t) => {
    assert.throws(() => new Spool(join(directory(t), 'nowhere')).sweep(), { code: 'ENOENT' });
  });
});

for (const workers of ['0', '1']) {
  test(`a start with --workers ${workers} removes them, and says how many`, async (t) => {
    const folder = directory(t);
    const spool = join(folder, 'spool');
    const script = join(folder, 'p.lua');
    mkdirSync(spool, { mode: 0o700 });
    const gone = deadProcess();
    for (let i = 1; i <= 3; i++) writeFileSync(join(spool, `smtpf-${gone}-1-${i}.eml`), 'x');
    writeFileSync(script, 'function smtp.do_connect() end');
    const running = start(t, [
      ...['--listen', 'inet:0@127.0.0.1', '--script', script, '--spool', spool],
      ...['--workers', workers, '--warm-up', '0', '--syslog', 'stderr'],
    ]);
    await running.ready();
    assert.deepEqual(
      readdirSync(spool).filter((name) => name.includes(`-${gone}-`)),
      [],
    );
    await running.until('stderr', /notice .*: 3 message files of an earlier run removed from /);
  });
}

test('a command that only runs the script leaves the spool directory alone', async (t) => {
  const folder = directory(t);
  const left = join(folder, `smtpf-${deadProcess()}-1-1.eml`);
  writeFileSync(left, 'x');
  writeFileSync(join(folder, 'p.lua'), 'function smtp.do_connect() end');
  assert.equal((await run(['check', join(folder, 'p.lua')], { SMTPF_MILTER_SPOOL: folder })).code, 0);
  assert.ok(readdirSync(folder).some((name) => name.endsWith('-1-1.eml')));
});
