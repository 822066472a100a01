/**
 * Whoever may write to a directory in which root makes files: a link in the place of what root gives away or closes to
 * others would make root do so with any file of the machine.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { bindUnix, type SocketAccess } from '../../src/net/endpoint.ts';
import { PassiveSocket } from '../../src/net/passive-socket.ts';
import { prepareSpoolDirectory } from '../../src/spool/spool-directory.ts';
import { directory, run, start } from '../program/program.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can give files away' };

const NOBODY = 65534;
const STRANGER = 54_398;
const OWNER = { uid: NOBODY, gid: NOBODY, groups: [] };

/** Swaps links for as long as it lives: NAME of the directory, a directory of its own and a link in turn; every passing name of a socket. */
const ATTACKER = `
  const fs = require('node:fs');
  const [folder, victim, file, name] = process.argv.slice(1);
  process.chdir(folder);
  const tried = (act) => { try { act(); } catch {} };
  tried(() => fs.mkdirSync('mine/spool', { recursive: true, mode: 0o700 }));
  tried(() => fs.symlinkSync(victim, 'link'));
  console.log('at work');
  const sockets = () => {
    for (const found of fs.readdirSync('.')) {
      if (!found.startsWith('.')) continue;
      tried(() => fs.unlinkSync(found));
      tried(() => fs.symlinkSync(file, found));
    }
  };
  const swap = () => {
    tried(() => fs.renameSync('mine', name));
    tried(() => fs.renameSync(name, 'mine'));
    tried(() => fs.renameSync('link', name));
    tried(() => fs.renameSync(name, 'link'));
  };
  for (;;) (name === '' ? sockets : swap)();`;

interface Place {
  /** Where the attacker may write. */
  readonly folder: string;
  /** Each file that must stay root's, as it was. */
  readonly assertUntouched: () => void;
}

/** A directory of this owner and mode in which an attacker of this user is at work. */
async function attacked(
  t: TestContext,
  owner: number,
  mode: number,
  attacker: number,
  name: string,
): Promise<Place> {
  const top = mkdtempSync(join(tmpdir(), 'smtpf-milter-test-'));
  chmodSync(top, 0o755);
  const folder = join(top, 'shared');
  mkdirSync(folder);
  const victim = join(top, 'victim');
  mkdirSync(victim);
  mkdirSync(join(victim, 'spool'));
  const file = join(top, 'secret');
  writeFileSync(file, 'secret', { mode: 0o600 });
  chownSync(folder, owner, owner);
  chmodSync(folder, mode);
  const victims = [victim, join(victim, 'spool'), file, top];
  const look = () =>
    victims.map((path) => {
      const { uid, gid, mode: bits } = lstatSync(path);
      return [path, uid, gid, bits.toString(8), path === victim ? readdirSync(path) : ''];
    });
  const before = look();
  const child = spawn(process.execPath, ['-e', ATTACKER, folder, victim, file, name], {
    uid: attacker,
    gid: attacker,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
    rmSync(top, { recursive: true, force: true });
  });
  await once(child.stdout, 'data');
  return { folder, assertUntouched: () => assert.deepEqual(look(), before) };
}

/** What came of many calls: how often each message was seen, '' for success. */
async function outcomes(times: number, act: () => unknown): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for (let i = 0; i < times; i++) {
    let message = '';
    try {
      await act();
    } catch (error) {
      message = String(error);
    }
    seen.set(message, (seen.get(message) ?? 0) + 1);
  }
  return seen;
}

describe('links that are swapped while root starts the milter', needsRoot, () => {
  for (const [whose, owner, mode, attacker] of [
    ['the user that it becomes', NOBODY, 0o755, NOBODY],
    ['everybody, as /tmp, by that user', 0, 0o1777, NOBODY],
    ['everybody, as /tmp, by a stranger', 0, 0o1777, STRANGER],
  ] as const) {
    test(`in a directory of ${whose}: nothing is handed over`, async (t) => {
      for (const [name, below] of [
        ['spool', 'spool'],
        ['way', 'way/spool'],
      ] as const) {
        const { folder, assertUntouched } = await attacked(t, owner, mode, attacker, name);
        const seen = await outcomes(400, () => prepareSpoolDirectory(join(folder, below), OWNER));
        t.diagnostic(`${below}: prepared ${seen.get('') ?? 0} of 400 times`);
        assertUntouched();
      }
      const access: SocketAccess = { mode: 0o666, uid: NOBODY, gid: NOBODY, groups: [] };
      for (const group of [undefined, 'nogroup']) {
        const { folder, assertUntouched } = await attacked(t, owner, mode, attacker, '');
        const path = join(folder, 'milter.sock');
        const seen = await outcomes(300, async () => {
          const bound = await bindUnix(path, { ...access, group }, PassiveSocket.open);
          bound.close();
        });
        t.diagnostic(`socket: bound ${seen.get('') ?? 0} of 300 times`);
        assertUntouched();
      }
      assert.equal(process.geteuid?.(), 0);
    });
  }

  test('the whole program', async (t) => {
    const { folder, assertUntouched } = await attacked(t, NOBODY, 0o755, NOBODY, 'spool');
    for (let i = 0; i < 3; i++) {
      const args = ['--spool', join(folder, 'spool'), '--user', 'nobody', '--workers', '0'];
      const milter = start(t, ['--listen', `unix:${folder}/milter.sock`, ...args]);
      await Promise.race([milter.ended(), milter.ready()]).catch(() => {});
      await milter.stop();
      assertUntouched();
    }
  });
});

describe('a directory that others may change is no place for what root makes', needsRoot, () => {
  test('it is refused, with the directory', async (t) => {
    const top = directory(t);
    chmodSync(top, 0o755);
    const places = [
      ['of-stranger', STRANGER, 0o755, `belongs to uid ${STRANGER}`],
      ['of-group', 0, 0o775, 'others'],
      ['of-all', 0, 0o777, 'others'],
    ] as const;
    for (const [name, uid, mode, why] of places) {
      const path = join(top, name);
      mkdirSync(path);
      chownSync(path, uid, STRANGER);
      chmodSync(path, mode);
      const reason = why === 'others' ? `others than its owner may write to ${path}` : `${path} ${why}`;
      for (const [args, written] of [
        [
          ['--spool', join(path, 'below', 'spool')],
          `--spool ${path}/below/spool: ${reason}: it is not safe there`,
        ],
        [
          ['--listen', `unix:${path}/milter.sock`, '--spool', join(top, 'spool')],
          `--listen unix:${path}/milter.sock: ${reason}: a socket is not safe there`,
        ],
      ] as const) {
        const listen = args[0] === '--spool' ? ['--listen', 'inet:0@127.0.0.1'] : [];
        const ended = await run([...listen, ...args, '--user', 'nobody']);
        assert.deepEqual(ended, { code: 78, stdout: '', stderr: `smtpf-milter: ${written}\n` });
      }
    }
  });

  test('a link on the way is looked at where it leads', (t) => {
    const top = directory(t);
    chmodSync(top, 0o755);
    mkdirSync(join(top, 'open'));
    chmodSync(join(top, 'open'), 0o777);
    symlinkSync('../open', join(top, 'link'));
    mkdirSync(join(top, 'x'));
    symlinkSync('../open', join(top, 'x', 'link'));
    symlinkSync(join(top, 'x', 'link'), join(top, 'way'));
    const seen = new RegExp(`^OperatorError: --spool .*others than its owner may write to ${top}/open`);
    assert.throws(() => prepareSpoolDirectory(join(top, 'way', 'spool'), OWNER), seen);
    symlinkSync(join(top, 'circle'), join(top, 'circle'));
    assert.throws(
      () => prepareSpoolDirectory(join(top, 'circle', 'spool'), OWNER),
      /leads through more than 40 links/,
    );
  });
});
